// The demonstration of `make run`: a real PDS with its PLC directory, a real
// MongoDB server, world.mjs on both, and `refkey serve` between them. Shows what
// refkey answers and what it brought back to MongoDB, fails if that is not what
// it promises, and stays up until Ctrl-C (ONCE=1: ends after showing).

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { startMongo } from './mongo.mjs';
import { startPds, startPlc } from './pds.mjs';
import { Refkey, binary } from './refkey.mjs';
import { MOOD, PAINTING, moodRecord, objectId } from './shapes.mjs';
import { until } from './wait.mjs';
import { writeWorld } from './world.mjs';

const once = Boolean(process.env.ONCE) && process.env.ONCE !== '0';
const bold = process.stdout.isTTY ? (s) => `\x1b[1m${s}\x1b[0m` : (s) => s;
const say = (s = '') => console.log(s);
const title = (s) => say(`\n${bold(s)}`);
const json = (value) => JSON.stringify(value, null, 2).replace(/^/gm, '    ');

const running = []; // to stop, last first
let refkey;
let ending;

// Stops everything, in order; a second call waits for the first.
function end(code) {
  ending ??= (async () => {
    for (const [name, stop] of running.reverse()) {
      try {
        await stop();
      } catch (e) {
        console.error(`refkey: stopping ${name}: ${e.message}`);
        code ||= 1;
      }
    }
    process.exit(code);
  })();
  return ending;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    say('\nstopping');
    end(0);
  });
}

async function main() {
  if (!existsSync(binary)) throw new Error(`${binary} is not there: build it with make`);
  const started = performance.now();
  say('starting a PLC directory, a PDS and a MongoDB server on loopback …');
  const mongo = await startMongo();
  running.push(['MongoDB', () => mongo.close()]);
  const plc = await startPlc();
  running.push(['PLC', () => plc.stop()]);
  const pds = await startPds({ plc });
  running.push(['PDS', () => pds.close()]);

  say('writing 20 users, their records and documents …');
  const world = await writeWorld({ pds, mongo });
  const before = await counts(mongo);

  const settings = {
    ...mongo.settings,
    REFKEY_PDS_URL: pds.url,
    REFKEY_PLC_URL: plc.url,
    REFKEY_RECOVER: 'all', // documents that a first backfill finds missing, too
    ...(process.env.REFKEY_LISTEN && { REFKEY_LISTEN: process.env.REFKEY_LISTEN }),
  };
  refkey = new Refkey(settings);
  running.push(['refkey', () => refkey.close()]);
  await refkey.start();
  await refkey.ready();
  say(`refkey serve is ready at ${refkey.url}, ${((performance.now() - started) / 1000).toFixed(1)} s after the start`);

  await showLookups(world);
  await showRecovery(mongo, world, before);
  await showLeft(mongo, world);
  await showLive(pds, mongo, world);
  title('The service');
  curl('/xrpc/computer.aesthetic.refkey.getStatus');

  if (once) return end(0);
  title('All of this stays up until Ctrl-C');
  const [ada] = world.people;
  say(`  refkey   ${refkey.url}`);
  say(`  PDS      ${pds.url}   (${ada.handle}, password ${ada.password})`);
  say(`  PLC      ${plc.url}`);
  say(`  MongoDB  ${mongo.uri}   database ${mongo.database}`);
  const { code, signal } = await refkey.child.end;
  if (!ending) throw new Error(`refkey ended by itself (${signal ?? code})`);
  return ending;
}

// Shows the command a user would type, and its answer.
function curl(path) {
  const url = refkey.url + path;
  say(`  $ curl -s '${url}'`);
  const answer = JSON.parse(execFileSync('curl', ['-s', '--max-time', '10', url], { encoding: 'utf8' }));
  say(json(answer));
  return answer;
}

function expect(fact, what) {
  if (!fact) throw new Error(`the answer is not what it should be: ${what}`);
}

async function showLookups({ recovered }) {
  const one = recovered.find((r) => r.collection === PAINTING);
  title('From a MongoDB _id to the record');
  const byRef = curl(`/xrpc/computer.aesthetic.refkey.getByRef?ref=${one.ref}`);
  expect(byRef.uri === one.uri, 'getByRef');
  title('From the record to the MongoDB _id');
  const byRkey = curl(
    `/xrpc/computer.aesthetic.refkey.getByRkey?repo=${one.account.did}&collection=${one.collection}&rkey=${one.rkey}`,
  );
  expect(byRkey.ref === one.ref && byRkey.cid === byRef.cid, 'getByRkey');
}

const documentsOf = (mongo, collection) => (collection === MOOD ? mongo.moods : mongo.paintings);

const counts = async (mongo) => ({
  moods: await mongo.moods.countDocuments(),
  paintings: await mongo.paintings.countDocuments(),
});

async function showRecovery(mongo, { recovered }, before) {
  title('Recovered to MongoDB');
  const shown = new Set();
  for (const r of recovered) {
    r.after = await until(() => documentsOf(mongo, r.collection).findOne({ 'atproto.rkey': r.rkey }), {
      what: `recovery of ${r.uri} (${r.why})`,
    });
    const { _id, ...fields } = r.after;
    expect(!r.ref || String(_id) === r.ref, `_id of ${r.uri}`);
    expect(JSON.stringify(sorted(fields)) === JSON.stringify(sorted(r.fields)), `document of ${r.uri}`);
    if (shown.has(r.why)) continue;
    shown.add(r.why);
    say(`  ${r.why}: ${r.uri}`);
    say(`    before  ${r.before ? JSON.stringify(r.before) : 'no document'}`);
    say(`    after   ${JSON.stringify(r.after)}`);
  }
  const inserted = recovered.filter((r) => !r.before);
  const now = await counts(mongo);
  const of = (c) => inserted.filter((r) => r.collection === c).length;
  expect(now.moods === before.moods + of(MOOD), `number of moods: ${now.moods}`);
  expect(now.paintings === before.paintings + of(PAINTING), `number of paintings: ${now.paintings}`);
  say(`  in all ${inserted.length} documents inserted, ${recovered.length - inserted.length} given their key:`);
  say(`  moods ${before.moods} → ${now.moods}, paintings ${before.paintings} → ${now.paintings}`);
}

function sorted(o) {
  return Object.fromEntries(Object.entries(o).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function showLeft(mongo, { left: { duplicate, orphan, unclaimed, mongoOnly } }) {
  title('Left alone in MongoDB');
  const linked = await mongo.moods.findOne({ 'atproto.rkey': duplicate.first.rkey });
  const { body } = await refkey.xrpc('getByRef', { ref: duplicate.ref });
  expect(String(linked?._id) === duplicate.ref && body.uri === duplicate.first.uri, 'duplicate');
  expect(body.duplicates?.[0]?.uri === duplicate.second.uri, 'duplicates of the answer');
  say(`  a duplicate ref: ${duplicate.ref} answers with ${duplicate.first.rkey}, and names ${duplicate.second.rkey}`);
  expect(!(await mongo.moods.findOne({ 'atproto.rkey': orphan.record.rkey })), 'orphan');
  say(`  an orphan: ${orphan.record.uri}, its document stays deleted`);
  expect(!(await mongo.moods.findOne({ 'atproto.rkey': unclaimed.record.rkey })), 'unclaimed');
  say(`  an unclaimed account: ${unclaimed.account.handle} belongs to no user of the site`);
  say(`  only in MongoDB: ${mongoOnly.length} documents (refkey publish brings them to the PDS)`);
}

async function showLive(pds, mongo, { people: [, , , , elio] }) {
  title('A mood written now, on the PDS alone');
  const ref = String(objectId());
  const wrote = await pds.createRecord(elio, MOOD, moodRecord({ mood: 'here and now', ref }));
  const start = performance.now();
  await refkey.until('getByRef', { ref }, undefined, { every: 1 });
  say(`  ${wrote.uri}: answered after ${(performance.now() - start).toFixed(0)} ms`);
  say('  (a PDS that was idle sends an event up to a second late)');
  const document = await until(() => mongo.moods.findOne({ 'atproto.rkey': wrote.rkey }), {
    what: 'recovery of the mood written now',
  });
  say(`  and in MongoDB: ${JSON.stringify(document)}`);
}

try {
  await main();
} catch (e) {
  if (!ending) {
    console.error(`refkey: step 'demonstration' failed: ${e.message}`);
    if (refkey?.child) console.error(refkey.child.tail(15));
    console.error('refkey: do: see the lines above');
  }
  await end(1);
}
