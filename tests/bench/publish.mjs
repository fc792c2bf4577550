// `refkey publish moods`, from its start to its end, against bare applyWrites (bare_writes.c): as many
// records of the same repos, in full batches that are ready made, over as many connections to the same PDS,
// in turn. The bare run is made twice: with accounts that are logged in already, and logging each of them in
// with its app password first, as publish has to. And the same by `serve` with REFKEY_PUBLISH=exclusive, which
// keeps its logins, from the moment before the documents are inserted until all of them have their keys.

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { startMongo } from '../kit/mongo.mjs';
import { startNetwork } from '../kit/pds.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { MOOD, moodDocument, moodRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { median } from './table.mjs';
import { costRows, costs, tool } from './tools.mjs';

const rounds = { many: 2, one: 5 };
const moods = 3000;
const users = 1000;
const batch = 200; // what the PDS takes in one applyWrites
const threads = 2;
const connections = threads * 4; // publish takes so many users at once
const bulk = 64; // statements in one command

const thousands = (n) => n.toLocaleString('en-US');

export async function publish({ table, note }) {
  const net = await startNetwork();
  const mongo = await startMongo();
  const { pds } = net;
  const refkey = new Refkey({
    ...mongo.settings,
    REFKEY_MONGO_BATCH: String(bulk),
    REFKEY_PDS_URL: pds.url,
    REFKEY_PLC_URL: net.plc.url,
    REFKEY_THREADS: String(threads),
  });
  try {
    // Publishing alone is measured; the index that it asks for is empty.
    await refkey.start();
    await refkey.ready({ deadline: 60_000 });
    await refkey.stop();
    const everybody = await people(0, users);
    await compare(`of ${thousands(users)} users`, rounds.many, () => everybody);
    await kept(everybody);
    // A repo that has grown takes longer: each run has a new one.
    await compare('of one user', rounds.one, async (run) => people(users + run, 1));
  } finally {
    await refkey.close();
    await mongo.close();
    await net.stop();
  }

  async function people(from, count) {
    const all = [];
    const next = async () => {
      while (all.length < count) {
        const i = from + all.push(undefined) - 1;
        note(`accounts, ${all.length} of ${count}`);
        const account = await pds.account(`user${i}.test`);
        const { data } = await account.agent.com.atproto.server.createAppPassword({ name: 'site' });
        const user = await mongo.user({ _id: `auth0|${i}`, handle: `user${i}`, did: account.did, password: data.password });
        all[i - from] = { did: account.did, token: account.agent.session.accessJwt, password: data.password, user };
      }
    };
    await Promise.all(Array.from({ length: connections }, next));
    return all;
  }

  async function compare(whose, rounds, those) {
    const [ours, ready, all, set, cost, bareCost] = [[], [], [], [], [], []];
    for (let round = 0; round < rounds; round++) {
      note(`publish ${whose}, round ${round + 1} of ${rounds}`);
      const open = await those(3 * round);
      bareCost.push(await costs({ pds, mongo }, moods, () => bare(open, false)));
      ready.push(moods / bareCost.at(-1).value);
      all.push(moods / (await bare(await those(3 * round + 1), true)));
      const persons = await those(3 * round + 2);
      await documents(persons);
      cost.push(await costs({ pds, mongo }, moods, published));
      await check();
      ours.push(moods / cost.at(-1).value);
      set.push(moods / (await linked(persons)));
    }
    const unit = 'records/s';
    // The goal is that of the bare run with sessions like ours: one of each user, made in the run.
    table.peer(`publish ${thousands(moods)} moods ${whose}`, { unit, ours, theirs: all, peer: 'bare logins and applyWrites', least: 0.8 });
    table.peer('  accounts logged in already', { unit, ours, theirs: ready, peer: 'bare applyWrites' });
    table.peer('  the documents alone', { unit, ours, theirs: set, peer: `bare $set in bulks of ${bulk}` });
    costRows(table, 'record', { ours: cost, theirs: bareCost, peer: 'bare applyWrites' });
    table.plain('  time', moods / median(ours), 's', `${thousands(moods)} s at one record a second`);
  }

  // By a service that has logged everybody in, in a round before.
  async function kept(persons) {
    const [ours, ready] = [[], []];
    await refkey.start({ REFKEY_PUBLISH: 'exclusive', REFKEY_RECOVER: 'off' });
    await refkey.ready({ deadline: 300_000 });
    for (let round = 0; round <= rounds.many; round++) {
      note(`publish by serve, round ${round} of ${rounds.many}`);
      const theirs = round && moods / (await bare(persons, false));
      await refkey.until('getStatus', {}, ({ body }) => body.mongo.pending === 0, { deadline: 120_000, every: 200 });
      await mongo.moods.deleteMany({});
      const began = performance.now();
      await documents(persons);
      // It counts a document once its key is set. To count them in MongoDB again and again would keep a core busy.
      await until(async () => (await created()) === moods * (round + 1), { deadline: 1_800_000, every: 50, what: 'a key in each document' });
      const seconds = (performance.now() - began) / 1000;
      await check();
      if (round) ready.push(theirs);
      if (round) ours.push(moods / seconds);
    }
    await refkey.stop();
    delete refkey.settings.REFKEY_PUBLISH;
    table.peer('  by serve, which keeps logins', { unit: 'records/s', ours, theirs: ready, peer: 'bare applyWrites', least: 0.8 });
  }

  async function created() {
    const { body } = await refkey.get('/metrics');
    return Number(body.match(/^refkey_publish_created_total (\d+)$/m)[1]);
  }

  // New moods in MongoDB, spread evenly; those of before are gone.
  async function documents(persons) {
    const now = Date.now();
    const some = Array.from({ length: moods }, (_, i) =>
      moodDocument({ user: persons[i % persons.length].user, mood: `a mood of a usual length, which is number ${i}`, when: new Date(now - i) }),
    );
    await mongo.moods.deleteMany({});
    await mongo.moods.insertMany(some);
    return some;
  }

  // Seconds of the whole command, with the documents there.
  async function published() {
    const began = performance.now();
    const { code, stdout, stderr } = await refkey.run(['publish', 'moods', '--json'], { deadline: 1_800_000 });
    const seconds = (performance.now() - began) / 1000;
    if (code !== 0 || JSON.parse(stdout).summary.created !== moods) throw new Error(`publish ended with ${code}: ${stderr}`);
    return seconds;
  }

  async function check() {
    const count = await mongo.moods.countDocuments({ 'atproto.rkey': { $exists: true } });
    if (count !== moods) throw new Error(`${count} documents name a record`);
  }

  async function bare(persons, login) {
    const each = moods / persons.length;
    const child = spawn(tool('bare_writes'), [pds.url, `${Math.min(connections, persons.length)}`], { stdio: ['pipe', 'pipe', 'inherit'] });
    for (const { did, token, password, user } of persons) {
      for (let from = 0; from < each; from += batch) {
        const writes = Array.from({ length: Math.min(batch, each - from) }, (_, i) => {
          const d = moodDocument({ user, mood: `a mood of a usual length, which is number ${from + i}` });
          return { $type: 'com.atproto.repo.applyWrites#create', collection: MOOD, value: { $type: MOOD, ...moodRecord({ ...d, ref: d._id }) } };
        });
        const words = [login && from === 0 ? '-' : token, JSON.stringify({ identifier: did, password }), JSON.stringify({ repo: did, writes })];
        child.stdin.write(`${words.join('\t')}\n`);
      }
    }
    child.stdin.end();
    const seconds = Number(await text(child.stdout));
    if (!(seconds > 0)) throw new Error('the bare run failed');
    return seconds;
  }

  // Seconds of the `$set`s alone, with filters that say as much as publish's.
  async function linked(persons) {
    const some = await documents(persons);
    const began = performance.now();
    for (let from = 0; from < some.length; from += bulk) {
      const statements = some.slice(from, from + bulk).map(({ _id, user }) => ({
        updateOne: {
          filter: { _id, user, 'atproto.rkey': { $exists: false }, deleted: { $ne: true } },
          update: { $set: { 'atproto.rkey': '3aaaaaaaaaaaa' } },
        },
      }));
      const { matchedCount } = await mongo.moods.bulkWrite(statements, { ordered: false });
      if (matchedCount !== statements.length) throw new Error('a bare $set did not match');
    }
    return (performance.now() - began) / 1000;
  }
}
