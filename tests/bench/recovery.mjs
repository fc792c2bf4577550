// Recovery into an empty MongoDB against the bare driver (bare_mongo.c), which inserts the same
// documents, as recovery left them, into another database of the same server, in bulks of the same
// size, in turn.

import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { startMongo } from '../kit/mongo.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { makeIndex, runTool } from './tools.mjs';

const rounds = 5;
const many = 20_000;
const few = 2_000;
const repos = 20;

export async function recovery({ table, note, root }) {
  const mongo = await startMongo();
  try {
    const bulk = mongo.settings.REFKEY_MONGO_BATCH ?? '1000';
    const indexes = {};
    for (const records of [few, many])
      indexes[records] = await makeIndex(root, `recovery-${records}`, { records, repos, samples: 1, state: 'absent', moods: true });
    const ours = [];
    const theirs = [];
    const ofFew = [];
    for (let round = 0; round < rounds; round++) {
      note(`recovery, round ${round + 1} of ${rounds}`);
      const database = `bench_${round}`;
      ofFew.push(await recover(mongo, indexes[few], `${database}_few`));
      ours.push(await recover(mongo, indexes[many], database));
      const [count, seconds] = (await runTool('bare_mongo', [mongo.uri, database, 'moods', `${database}_bare`, bulk])).split(' ').map(Number);
      if (count !== many) throw new Error(`the bare driver inserted ${count}`);
      theirs.push(count / seconds);
      for (const name of [`${database}_few`, database, `${database}_bare`]) await mongo.client.db(name).dropDatabase();
    }
    const unit = 'documents/s';
    table.peer(`recover, ${many.toLocaleString('en-US')} documents, bulks of ${bulk}`, { unit, ours, theirs, peer: 'bare driver', least: 0.6 });
    table.peer(`recover, ${few.toLocaleString('en-US')} documents`, { unit, ours: ofFew, theirs: ours, peer: many.toLocaleString('en-US') });
  } finally {
    await mongo.close();
  }

  // Documents a second of the whole command, from its start to its end, into a new database.
  async function recover(server, index, database) {
    const db = server.client.db(database);
    await db.collection('users').insertMany(index.repos.map(({ did }, i) => ({ _id: `auth0|${i}`, atproto: { did } })));
    const dir = path.join(root, 'recovery-copy');
    await cp(index.dir, dir, { recursive: true });
    const refkey = new Refkey({ ...server.settings, REFKEY_MONGO_DB: database, REFKEY_DATA_DIR: dir });
    const began = performance.now();
    const { code, stderr } = await refkey.run(['recover'], { deadline: 300_000 });
    const seconds = (performance.now() - began) / 1000;
    const count = await db.collection('moods').countDocuments();
    if (code !== 0 || count !== index.records) throw new Error(`recover ended with ${code}, ${count} documents: ${stderr}`);
    await rm(dir, { recursive: true });
    return count / seconds;
  }
}
