// A MongoDB server as scripts/setup-mongo finds it, on a free port and its own
// data, which can be stopped, killed and started again.
//
//   const mongo = await startMongo();
//   await mongo.user({ _id: 'auth0|1', handle: 'alice', did });
//   await mongo.moods.insertOne(moodDocument({ user: 'auth0|1' }));
//   new Refkey({ ...mongo.settings, … });
//
// FerretDB differs from MongoDB where tests could notice: it takes its time for
// updates (so `settings` keeps refkey's bulks small), and there are no change
// streams and no transactions. `kind` tells which it is.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { Child } from './child.mjs';
import { freePort, patience } from './wait.mjs';

const setup = fileURLToPath(new URL('../../scripts/setup-mongo', import.meta.url));

export class Mongo {
  constructor(kind, target, port) {
    this.kind = kind; // 'uri', 'mongod' or 'ferretdb'
    this.target = target;
    this.port = port;
    this.uri = kind === 'uri' ? target : `mongodb://127.0.0.1:${port}/`;
    // A server that others use too gets a database of its own.
    this.database = kind === 'uri' ? `refkey_test_${randomBytes(6).toString('hex')}` : 'aesthetic';
  }

  get users() { return this.db.collection('users'); }
  get handles() { return this.db.collection('@handles'); }
  get moods() { return this.db.collection('moods'); }
  get paintings() { return this.db.collection('paintings'); }

  // What refkey is to be started with. A server of ours that takes its time on a busy machine is not away: one
  // that is refuses the connection at once.
  get settings() {
    const patient = 'serverSelectionTimeoutMS=30000&connectTimeoutMS=30000&socketTimeoutMS=60000';
    return {
      REFKEY_MONGO_URI: this.kind === 'uri' ? this.uri : `${this.uri}?${patient}`,
      REFKEY_MONGO_DB: this.database,
      ...(this.kind === 'ferretdb' && { REFKEY_MONGO_BATCH: '64' }),
    };
  }

  get running() {
    return this.kind === 'uri' || (this.child?.running ?? false);
  }

  async start() {
    if (this.kind !== 'uri') {
      this.dir ??= await mkdtemp(path.join(os.tmpdir(), 'refkey-mongo-'));
      const data = path.join(this.dir, 'data');
      await mkdir(data, { recursive: true });
      const command =
        this.kind === 'ferretdb'
          ? [this.target, `127.0.0.1:${this.port}`, data]
          : [this.target, '--bind_ip', '127.0.0.1', '--port', `${this.port}`, '--dbpath', data];
      this.child = new Child('mongo', command);
      await this.child.ready(() => this.#answers());
    }
    this.client = new MongoClient(this.uri, { serverSelectionTimeoutMS: patience });
    this.db = this.client.db(this.database);
    // Once: FerretDB drops the connection of who asks again for what exists.
    if (!this.indexed) {
      await this.paintings.createIndexes([
        { key: { code: 1 }, unique: true },
        { key: { slug: 1, user: 1 }, unique: true },
      ]);
      this.indexed = true;
    }
    return this;
  }

  async #answers() {
    const probe = new MongoClient(this.uri, { serverSelectionTimeoutMS: 2000, minHeartbeatFrequencyMS: 20, directConnection: true });
    try {
      return await probe.db('admin').command({ ping: 1 });
    } finally {
      await probe.close();
    }
  }

  async stop() {
    await this.#leave();
    if (this.running) await this.child.stop();
  }

  async kill() {
    await this.#leave();
    await this.child.kill();
  }

  async restart() {
    await this.stop();
    return this.start();
  }

  // A client that outlives its server fails once for each connection it lost, so
  // every start makes a new one: keep no collection across a restart.
  async #leave() {
    if (this.kind === 'uri') throw new Error('REFKEY_TEST_MONGO_URI names a server that is not ours to stop');
    await this.client?.close();
  }

  // For good: the data goes, too.
  async close() {
    if (this.kind === 'uri') {
      await this.db.dropDatabase();
      await this.client.close();
      return;
    }
    await this.stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  // A user of the site: `users` and, with a handle, `@handles`. did undefined: one
  // without an ATProto account.
  async user({ _id, handle, did, password }) {
    await this.users.insertOne({ _id, ...(did && { atproto: { did, ...(password && { password }) } }) });
    if (handle) await this.handles.insertOne({ _id, handle });
    return _id;
  }
}

export async function startMongo() {
  // Its progress goes to our stderr; a failure there has said what to do.
  const [, kind, target] = execFileSync(setup, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).match(
    /^(\w+) (.*)\n$/,
  );
  const mongo = new Mongo(kind, target, kind === 'uri' ? undefined : await freePort());
  try {
    return await mongo.start();
  } catch (e) {
    await mongo.client?.close();
    await mongo.child?.kill();
    throw e;
  }
}
