// A real PLC directory and real PDSs on loopback ports, as child processes that
// can be stopped, killed and started again on the same port and data.
//
//   const net = await startNetwork();            // or startPlc(), startPds({ plc })
//   const alice = await net.pds.account('alice.test');
//   await net.pds.createRecord(alice, collection, record);
//   await net.pds.restart({ repoBackfillLimitMs: 5000 });
//   await net.stop();
//
// Facts of the reference PDS that tests lean on:
// - It writes public URL http://localhost:PORT into DID documents and calls
//   itself did:web:localhost, without the port.
// - Its idle firehose polls with a back-off of up to a second, so a first event
//   after silence is late; after a restart, too.
// - `since` and rev come from the repo, sequence numbers from sequencer.sqlite:
//   restoring an older data folder takes both back.
// - A cursor older than the replay window gets #info OutdatedCursor and only what
//   lies within the window; with nothing in the window, only what is new. The
//   window is judged by the first event after the cursor: a cursor at the last
//   event is never outdated.
// - com.atproto.sync.listRepos: {did, head, rev, active} for active accounts; for
//   deactivated and taken down ones `active: false` and `status` "deactivated"
//   or "takendown", with head and rev; deleted ones are not in the list.

import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AtpAgent } from '@atproto/api';
import { Secp256k1Keypair } from '@atproto/crypto';
import { Child } from './child.mjs';
import { Firehose } from './firehose.mjs';
import { freePort } from './wait.mjs';

const server = fileURLToPath(new URL('server.mjs', import.meta.url));

// A server in a child process that comes back with the same settings.
class Server {
  constructor(role, config) {
    this.role = role;
    this.config = config;
    this.port = config.port;
  }

  get running() {
    return this.child?.running ?? false;
  }

  async start(changes = {}) {
    if (this.running) throw new Error(`${this.role} runs already`);
    Object.assign(this.config, changes);
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, LOG_ENABLED: 'true', LOG_LEVEL: 'warn' };
    const command = [process.execPath, '--no-warnings', server, this.role, JSON.stringify(this.config)];
    this.child = new Child(this.role, command, { env });
    await this.child.ready(() => this.child.lines.includes('ready'));
    return this;
  }

  async stop() {
    if (this.running) await this.child.stop();
  }

  async kill() {
    await this.child.kill();
  }

  // changes: settings from now on, such as { repoBackfillLimitMs: 5000 }.
  async restart(changes) {
    await this.stop();
    return this.start(changes);
  }
}

export class Plc extends Server {
  constructor(port) {
    super('plc', { port });
    this.url = `http://127.0.0.1:${port}`;
  }

  async document(did) {
    const res = await fetch(`${this.url}/${encodeURIComponent(did)}`);
    if (!res.ok) throw new Error(`DID document of ${did}: ${res.status}`);
    return res.json();
  }
}

export async function startPlc() {
  return new Plc(await freePort()).start();
}

export class Pds extends Server {
  constructor(config, { ownData }) {
    super('pds', config);
    this.ownData = ownData;
    this.url = `http://localhost:${config.port}`;
    this.adminPassword = config.adminPassword;
    this.copies = 0;
  }

  get dataDirectory() {
    return this.config.dataDirectory;
  }

  // Ends it for good and removes its data, if the kit made the folder.
  async close() {
    await this.stop();
    if (this.ownData) await rm(path.dirname(this.dataDirectory), { recursive: true, force: true });
  }

  // A copy of the data folder, for restoreData. Only while the PDS is stopped:
  // a copy of running SQLite databases is no copy of any one moment.
  async copyData() {
    this.#mustBeStopped();
    const copy = `${this.dataDirectory}-copy${++this.copies}`;
    await cp(this.dataDirectory, copy, { recursive: true });
    return copy;
  }

  async restoreData(copy) {
    this.#mustBeStopped();
    await rm(this.dataDirectory, { recursive: true, force: true });
    await cp(copy, this.dataDirectory, { recursive: true });
  }

  #mustBeStopped() {
    if (this.running) throw new Error('stop the PDS first');
  }

  // A raw call: { status, headers, body }, the body as JSON where it is.
  async xrpc(method, params = {}, { input, headers = {}, account, admin } = {}) {
    const url = new URL(`/xrpc/${method}`, this.url);
    for (const [name, value] of Object.entries(params)) {
      for (const one of [value].flat()) if (one !== undefined) url.searchParams.append(name, one);
    }
    if (admin) headers = { ...headers, authorization: this.adminAuth };
    if (account) headers = { ...headers, authorization: `Bearer ${account.agent.session.accessJwt}` };
    const res = await fetch(url, {
      method: input === undefined ? 'GET' : 'POST',
      headers: input === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      body: input === undefined ? undefined : JSON.stringify(input),
    });
    const bytes = Buffer.from(await res.arrayBuffer());
    const json = res.headers.get('content-type')?.includes('json');
    return { status: res.status, headers: res.headers, body: json ? JSON.parse(bytes) : bytes };
  }

  // As xrpc, but anything other than a 200 is an error.
  async call(method, params, options) {
    const { status, body } = await this.xrpc(method, params, options);
    if (status !== 200) throw new Error(`${method}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  get adminAuth() {
    return `Basic ${Buffer.from(`admin:${this.adminPassword}`).toString('base64')}`;
  }

  // Makes an account. Handles end in .test and have three letters before it; many
  // common words ("guest", "visitors") are reserved.
  async account(handle, { password = `password-of-${handle}` } = {}) {
    const agent = new AtpAgent({ service: this.url });
    try {
      await agent.createAccount({ handle, password, email: `${handle}@mail.example` });
    } catch (e) {
      throw new Error(`account ${handle}: ${e.message}`, { cause: e });
    }
    return { did: agent.session.did, handle, password, agent };
  }

  // Signs in to an account that exists (after its tokens were lost with a
  // restored data folder, or from another process).
  async login({ handle, did, password }) {
    const agent = new AtpAgent({ service: this.url });
    await agent.login({ identifier: did ?? handle, password });
    return { did: agent.session.did, handle, password, agent };
  }

  // Returns { uri, cid, commit: { cid, rev }, rkey }. Without an rkey the PDS makes one.
  async createRecord(account, collection, record, rkey) {
    const res = await account.agent.com.atproto.repo.createRecord({
      repo: account.did,
      collection,
      rkey,
      record: { $type: collection, ...record },
    });
    return { ...res.data, rkey: res.data.uri.split('/').pop() };
  }

  async putRecord(account, collection, rkey, record) {
    const res = await account.agent.com.atproto.repo.putRecord({
      repo: account.did,
      collection,
      rkey,
      record: { $type: collection, ...record },
    });
    return { ...res.data, rkey };
  }

  // Absent records are no error.
  async deleteRecord(account, collection, rkey) {
    const res = await account.agent.com.atproto.repo.deleteRecord({ repo: account.did, collection, rkey });
    return res.data;
  }

  // writes: [{ action: 'create'|'update'|'delete', collection, rkey?, value? }],
  // 200 at most, all or nothing. Returns { commit, results }.
  async applyWrites(account, writes) {
    const res = await account.agent.com.atproto.repo.applyWrites({
      repo: account.did,
      writes: writes.map(({ action, collection, rkey, value }) => ({
        $type: `com.atproto.repo.applyWrites#${action}`,
        collection,
        rkey,
        value: value && { $type: collection, ...value },
      })),
    });
    return res.data;
  }

  // Every record of the collection: [{ uri, cid, value }].
  listRecordsAll(did, collection) {
    return this.#pages('com.atproto.repo.listRecords', { repo: did, collection, limit: 100 }, 'records');
  }

  // [{ did, head, rev, active, status? }]
  listReposAll() {
    return this.#pages('com.atproto.sync.listRepos', { limit: 1000 }, 'repos');
  }

  async #pages(method, params, field) {
    const all = [];
    let cursor;
    do {
      const page = await this.call(method, { ...params, cursor });
      all.push(...page[field]);
      cursor = page.cursor;
    } while (cursor);
    return all;
  }

  deactivate(account) {
    return this.call('com.atproto.server.deactivateAccount', {}, { account, input: {} });
  }

  activate(account) {
    return account.agent.com.atproto.server.activateAccount();
  }

  takedown(did, applied = true) {
    return this.call('com.atproto.admin.updateSubjectStatus', {}, {
      admin: true,
      input: {
        subject: { $type: 'com.atproto.admin.defs#repoRef', did },
        takedown: applied ? { applied, ref: 'test' } : { applied },
      },
    });
  }

  deleteAccount(did) {
    return this.call('com.atproto.admin.deleteAccount', {}, { admin: true, input: { did } });
  }

  subscribe(options) {
    return Firehose.open(this.url, options);
  }
}

// Settings: those of the reference PDS (its PDS_* variables in camel case:
// repoBackfillLimitMs, maxSubscriptionBuffer, rateLimitsEnabled,
// rateLimitBypassKey, …); dataDirectory: one kept from elsewhere; publicUrl: what
// DID documents are to name instead of http://localhost:PORT.
export async function startPds({ plc, dataDirectory, ...settings }) {
  const ownData = !dataDirectory;
  dataDirectory ??= path.join(await mkdtemp(path.join(os.tmpdir(), 'refkey-pds-')), 'data');
  await mkdir(dataDirectory, { recursive: true });
  const config = {
    devMode: true,
    disableSsrfProtection: true,
    rateLimitsEnabled: false,
    port: settings.port ?? (await freePort()),
    hostname: 'localhost',
    didPlcUrl: plc.url,
    resolverTimeout: 60_000, // of the directory, which may share a busy machine
    dataDirectory,
    blobstoreDiskLocation: path.join(dataDirectory, 'blobs'),
    serviceHandleDomains: ['.test'],
    inviteRequired: false,
    jwtSecret: 'jwt-secret-of-the-test-pds',
    adminPassword: 'admin-password-of-the-test-pds',
    recoveryDidKey: (await Secp256k1Keypair.create()).did(),
    plcRotationKeyK256PrivateKeyHex: await newKeyHex(),
    bskyAppViewUrl: 'https://appview.invalid',
    bskyAppViewDid: 'did:example:invalid',
    modServiceUrl: 'https://moderator.invalid',
    modServiceDid: 'did:example:invalid',
    ...settings,
  };
  return new Pds(config, { ownData }).start();
}

async function newKeyHex() {
  const key = await Secp256k1Keypair.create({ exportable: true });
  return Buffer.from(await key.export()).toString('hex');
}

// A directory and one PDS.
export async function startNetwork(settings = {}) {
  const plc = await startPlc();
  try {
    const pds = await startPds({ plc, ...settings });
    return {
      plc,
      pds,
      account: (...a) => pds.account(...a),
      stop: async () => {
        await pds.close();
        await plc.stop();
      },
    };
  } catch (e) {
    await plc.stop();
    throw e;
  }
}
