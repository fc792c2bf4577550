// The dual write with REFKEY_PUBLISH=exclusive: from the moment that MongoDB has taken a new document until the
// PDS sends its record on the firehose. By `serve`, which looks for documents again and again.

import { decode } from '@atproto/lex-cbor';
import { frameBlocks } from '../kit/firehose.mjs';
import { startMongo } from '../kit/mongo.mjs';
import { startNetwork } from '../kit/pds.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { MOOD, moodDocument, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { quantile } from './table.mjs';

const people = 20;
const documents = 300;
const every = 150; // milliseconds; not a divisor of the time between two looks

export async function prompt({ table, note }) {
  const net = await startNetwork();
  const mongo = await startMongo();
  const { pds } = net;
  const refkey = new Refkey({ ...mongo.settings, REFKEY_PDS_URL: pds.url, REFKEY_PLC_URL: net.plc.url, REFKEY_PUBLISH: 'exclusive' });
  const hose = await pds.subscribe();
  const seen = new Map(); // ref to the time of its record
  try {
    const all = [];
    for (let i = 0; i < people; i++) {
      const account = await pds.account(`writer${i}.test`);
      const { data } = await account.agent.com.atproto.server.createAppPassword({ name: 'site' });
      all.push(await mongo.user({ _id: `auth0|${i}`, handle: `writer${i}`, did: account.did, password: data.password }));
    }
    hose.onframe = (frame) => {
      hose.frames.length = 0;
      if (frame.type === '#commit') refsOf(frame, seen);
    };
    await refkey.start();
    await refkey.ready({ deadline: 60_000 });
    const taken = new Map();
    const start = performance.now();
    for (let i = 0; i < documents; i++) {
      note(`prompt, document ${i + 1} of ${documents}`);
      const wait = start + i * every - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const _id = objectId(0);
      await mongo.moods.insertOne(moodDocument({ _id, user: all[i % people], mood: `number ${i}` }));
      taken.set(String(_id), performance.now());
    }
    await until(() => seen.size === documents, { deadline: 120_000, what: 'a record for each document' });
    const ms = [...taken].map(([ref, at]) => Math.max(0, seen.get(ref) - at));
    for (const q of [0.5, 0.99]) table.limit(`new document to its record, exclusive, p${q * 100}`, quantile(ms, q) / 1000, 's', 2);
  } finally {
    hose.close();
    await refkey.close();
    await mongo.close();
    await net.stop();
  }
}

async function refsOf({ at, body }, seen) {
  const { blocks } = await frameBlocks(body);
  for (const { action, path, cid } of body.ops) {
    if (action !== 'create' || !path.startsWith(`${MOOD}/`)) continue;
    const { ref } = decode(blocks.get(cid));
    if (!seen.has(ref)) seen.set(ref, at);
  }
}
