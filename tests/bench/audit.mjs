// `refkey audit` of everybody, from its start to its end, against bare getRepo (wrk) of the same repos over as
// many connections to the same PDS, in turn; and of the index alone.

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startMongo } from '../kit/mongo.mjs';
import { startNetwork } from '../kit/pds.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { MOOD, PAINTING, moodDocument, moodRecord, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { median } from './table.mjs';

const run = promisify(execFile);
const lua = fileURLToPath(new URL('random.lua', import.meta.url));

const rounds = 3;
const seconds = 6; // of a bare round
const users = 1000;
const each = 6; // records of a user, half of them moods
const connections = 8; // audit takes so many users at once

const thousands = (n) => n.toLocaleString('en-US');

export async function audit({ table, note, root }) {
  const net = await startNetwork();
  const mongo = await startMongo();
  const { pds } = net;
  const refkey = new Refkey({ ...mongo.settings, REFKEY_PDS_URL: pds.url, REFKEY_PLC_URL: net.plc.url });
  try {
    const dids = await people();
    note('audit, the index');
    await refkey.start();
    await refkey.ready({ deadline: 300_000 });
    await refkey.until('getStatus', {}, ({ body }) => body.mongo.pending === 0, { deadline: 300_000, every: 500 });
    await refkey.stop();
    const paths = path.join(root, 'audit.paths');
    await writeFile(paths, dids.map((did) => `/xrpc/com.atproto.sync.getRepo?did=${did}\n`).join(''));
    const [ours, theirs, alone] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      note(`audit, round ${round + 1} of ${rounds}`);
      theirs.push(await bare(paths));
      ours.push(users / (await audited()));
      alone.push(await audited('--index'));
    }
    const what = `${thousands(users)} users, ${thousands(users * each)} records`;
    table.peer(`audit, ${what}`, { unit: 'users/s', ours, theirs, peer: 'bare getRepo', least: 0.8 });
    table.limit('  of the index alone', median(alone), 's', 1);
  } finally {
    await refkey.close();
    await mongo.close();
    await net.stop();
  }

  async function people() {
    const dids = [];
    let made = 0;
    const next = async () => {
      while (made < users) {
        const i = made++;
        note(`audit, accounts, ${i} of ${users}`);
        const account = await pds.account(`user${i}.test`);
        const user = await mongo.user({ _id: `auth0|${i}`, handle: `user${i}`, did: account.did });
        const kinds = [
          [MOOD, mongo.moods, (k) => moodDocument({ user, mood: `a mood of a usual length, which is number ${k}` }), moodRecord],
          [PAINTING, mongo.paintings, (k) => paintingDocument({ user, code: `${i}x${k}`, slug: `painting-${i}-${k}` }), paintingRecord],
        ];
        for (const [collection, documents, document, record] of kinds) {
          const all = Array.from({ length: each / 2 }, (_, k) => document(k));
          const writes = all.map((d) => ({ action: 'create', collection, value: record({ ...d, ref: d._id }) }));
          const { results } = await pds.applyWrites(account, writes);
          all.forEach((d, k) => (d.atproto = { rkey: results[k].uri.split('/').pop() }));
          await documents.insertMany(all);
        }
        dids.push(account.did);
      }
    };
    await Promise.all(Array.from({ length: connections }, next));
    return dids;
  }

  // Repos a second.
  async function bare(paths) {
    const { stdout } = await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', lua, pds.url, '--', paths]);
    const [, requests, us, failed] = stdout.match(/^RESULT (\d+) (\d+) (\d+)$/m).map(Number);
    if (failed) throw new Error(`${failed} bare requests failed`);
    return requests / (us / 1e6);
  }

  // Seconds of the whole command, which finds nothing.
  async function audited(...args) {
    const began = performance.now();
    const { code, stdout, stderr } = await refkey.run(['audit', '--json', ...args], { deadline: 600_000 });
    const spent = (performance.now() - began) / 1000;
    const { summary } = JSON.parse(stdout);
    if (code !== 0 || summary.audited !== users || summary.collections[MOOD].matched !== (users * each) / 2)
      throw new Error(`audit ended with ${code}: ${JSON.stringify(summary)} ${stderr}`);
    return spent;
  }
}
