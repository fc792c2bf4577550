// The servers of a simulated network in this process: a DID directory, a PDS and its firehose on one
// port, another PDS on a second one. Or, with PDSs of their own, a relay and its firehose on the first port:
// accounts say on which of the others they are (`at`), and each answers for its own. It answers from the
// accounts it is given and sends what it is told; who asked for which repo is counted.

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { encode } from '@atproto/lex-cbor';
import { WebSocketServer } from 'ws';
import { wireFrame } from '../kit/proxy.mjs';
import { encodeFrame } from '../kit/firehose.mjs';

const inactive = { deactivated: 'RepoDeactivated', takendown: 'RepoTakendown', suspended: 'RepoSuspended' };
const xrpc = '/xrpc/';

class Refusal extends Error {
  constructor(status, error, message = error) {
    super(message);
    Object.assign(this, { status, error });
  }
}

// Its origin, once it listens.
async function begun(server) {
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${server.address().port}`;
}

export class Host {
  // accounts: Map of DID → Account; it may grow. pdses: how many there are behind a relay; 0: a PDS.
  constructor(accounts, { pdses = 0 } = {}) {
    this.accounts = accounts;
    this.pdses = Array.from({ length: pdses }, () => ({})); // { server, url }
    this.webs = new Set(); // servers of did:web
    this.seq = 0;
    this.log = []; // { seq, bytes } of what a consumer that comes back gets
    this.held = undefined; // while frames are held back: what is to be sent
    this.sockets = new Set(); // firehose connections that are past their backlog
    this.connects = []; // cursors asked for, null: none
    this.fetches = new Map(); // DID → how often getRepo was called
    this.answers = []; // { did, make(res) }: in place of the repo, the next time it is asked for
    this.requests = new Map(); // method → calls
    this.asked = new Map(); // `method did` → calls
    this.endless = undefined; // () → DID: a list of repos never ends, for more are made up
  }

  async listen() {
    this.server = http.createServer((req, res) => this.#answer(req, res));
    this.other = http.createServer((req, res) => res.writeHead(503).end());
    this.webSockets = new WebSocketServer({
      server: this.server,
      path: `${xrpc}com.atproto.sync.subscribeRepos`,
      perMessageDeflate: false,
      autoPong: false,
    });
    this.webSockets.on('connection', (ws, req) => this.#subscribed(ws, req));
    this.url = await begun(this.server);
    this.otherUrl = await begun(this.other);
    for (const pds of this.pdses) {
      pds.server = http.createServer((req, res) => this.#answer(req, res, pds));
      pds.url = await begun(pds.server);
    }
    return this;
  }

  // A server for the document of one account, whose DID names it.
  async web() {
    const server = http.createServer((req, res) => this.#answer(req, res, { did }));
    const { port } = new URL(await begun(server));
    const did = `did:web:localhost%3A${port}`;
    this.webs.add(server);
    return did;
  }

  // Where the account's repo is.
  home(account) {
    if (this.pdses.length) return this.pdses[account.at].url;
    return account.home ? this.url : this.otherUrl;
  }

  async close() {
    for (const ws of this.webSockets.clients) ws.terminate();
    for (const server of [this.server, this.other, ...this.pdses.map((pds) => pds.server), ...this.webs]) {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    }
  }

  // The firehose

  #subscribed(ws, req) {
    const text = new URL(req.url, this.url).searchParams.get('cursor');
    const cursor = text === null ? null : Number(text);
    ws.on('error', () => {});
    // Never inside a frame.
    ws.on('ping', async (data) => {
      await this.slow;
      ws.pong(data, false, () => {});
    });
    ws.on('close', () => this.sockets.delete(ws));
    this.connects.push(cursor);
    if (cursor !== null && cursor > this.seq) {
      ws.send(Buffer.concat([encode({ op: -1 }), encode({ error: 'FutureCursor', message: 'Cursor in the future.' })]));
      ws.close(1008, 'FutureCursor');
      return;
    }
    if (cursor !== null) for (const { seq, bytes } of this.log) if (seq > cursor) ws.send(bytes);
    this.sockets.add(ws);
  }

  // A frame with the next sequence number: { seq, bytes }, not sent yet.
  frame(type, body) {
    const seq = ++this.seq;
    return { seq, bytes: encodeFrame({ op: 1, t: type }, { ...body, seq }) };
  }

  // To who is connected, and to who comes back. kept: false: only the former.
  send({ seq, bytes }, { kept = true } = {}) {
    if (this.held) return void this.held.push([{ seq, bytes }, { kept }]);
    if (kept) this.log.push({ seq, bytes });
    for (const ws of this.sockets) ws.send(bytes);
  }

  hold() {
    this.held ??= [];
  }

  release() {
    const held = this.held ?? [];
    this.held = undefined;
    for (const args of held) this.send(...args);
  }

  // Says that the consumer may have missed something.
  outdated() {
    for (const ws of this.sockets) ws.send(encodeFrame({ op: 1, t: '#info' }, { name: 'OutdatedCursor' }));
  }

  // The bytes of a message as they go over the wire, in pieces of n with pauses between them.
  sendSlowly(frame, n) {
    this.slow = this.#sendSlowly(frame, n);
    return this.slow;
  }

  async #sendSlowly(frame, n) {
    this.log.push(frame);
    const wire = wireFrame(frame.bytes);
    for (let at = 0; at < wire.length; at += n) {
      for (const ws of this.sockets) ws._socket.write(wire.subarray(at, at + n));
      await sleep(1);
    }
  }

  // The first bytes of a message, then the end of the connection. Who comes back gets all of it.
  closeInside(frame, n) {
    this.log.push(frame);
    for (const ws of this.sockets) {
      ws._socket.write(wireFrame(frame.bytes).subarray(0, n));
      ws._socket.destroySoon();
    }
    this.sockets.clear();
  }

  disconnect(code = 1011) {
    for (const ws of this.sockets) ws.close(code);
    this.sockets.clear();
  }

  // Numbers begin again at 1, and nothing before is known any more.
  reset() {
    this.seq = 0;
    this.log = [];
    this.disconnect();
  }

  // Requests

  // at: which of the servers; undefined: the first.
  async #answer(req, res, at) {
    const url = new URL(req.url, this.url);
    try {
      const body = url.pathname.startsWith(xrpc)
        ? await this.#call(url.pathname.slice(xrpc.length), url.searchParams, res, at)
        : this.#didDocument(at?.did ?? decodeURIComponent(url.pathname.slice(1)));
      if (body instanceof Uint8Array) res.writeHead(200, { 'content-type': 'application/vnd.ipld.car' }).end(body);
      else if (body) res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    } catch (e) {
      const { status = 500, error = 'InternalServerError', message } = e;
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error, message }));
    }
  }

  #didDocument(did) {
    const account = this.accounts.get(did);
    if (!account || account.document === 'none') throw new Refusal(404, 'NotFound');
    return account.didDocument(this.home(account));
  }

  // Whether this server has the account.
  #has(account, at) {
    return account?.head && (this.pdses.length ? at === this.pdses[account.at] : account.home);
  }

  #repo(did, at) {
    const account = this.accounts.get(did);
    if (!this.#has(account, at) || account.status === 'deleted') throw new Refusal(400, 'RepoNotFound');
    if (inactive[account.status]) throw new Refusal(400, inactive[account.status]);
    return account;
  }

  // Whose the handle is, as this server says it: a liar's own account, or the true one.
  #handle(handle, at) {
    const all = [...this.accounts.values()];
    return all.find((a) => a.steals === handle && at === this.pdses[a.at]) ?? all.find((a) => a.handle === handle);
  }

  #list(params, fits) {
    const from = Number(params.get('cursor') ?? 0);
    const limit = Number(params.get('limit') ?? 500);
    const all = [...this.accounts.values()].filter((a) => a.head && a.home && !a.unlisted && a.status !== 'deleted' && fits(a));
    const page = all.slice(from, from + limit);
    while (this.endless && page.length < limit) page.push({ did: this.endless(), head: { cid: 'none', rev: '' }, status: 'active' });
    const cursor = from + limit < all.length || this.endless ? `${from + limit}` : undefined;
    return { page, cursor };
  }

  async #call(method, params, res, at) {
    this.requests.set(method, (this.requests.get(method) ?? 0) + 1);
    const did = params.get('did');
    const asked = `${method} ${did}`;
    this.asked.set(asked, (this.asked.get(asked) ?? 0) + 1);
    switch (method) {
      case 'com.atproto.server.describeServer':
        return { did: 'did:web:localhost', availableUserDomains: ['.test'] };
      case 'com.atproto.identity.resolveHandle': {
        const found = this.#handle(params.get('handle'), at);
        if (!found) throw new Refusal(400, 'InvalidRequest', 'Unable to resolve handle');
        return { did: found.did };
      }
      case 'com.atproto.sync.listRepos': {
        const { page, cursor } = this.#list(params, () => true);
        const entry = (a) => ({ did: a.did, head: `${a.head.cid}`, rev: a.head.rev, active: a.status === 'active' });
        return { repos: page.map((a) => ({ ...entry(a), ...(a.status !== 'active' && { status: a.status }) })), cursor };
      }
      case 'com.atproto.sync.listReposByCollection': {
        const prefix = `${params.get('collection')}/`;
        const { page, cursor } = this.#list(params, (a) => [...a.records.keys()].some((path) => path.startsWith(prefix)));
        return { repos: page.map((a) => ({ did: a.did })), cursor };
      }
      case 'com.atproto.sync.getRepoStatus': {
        const account = this.accounts.get(did);
        if (!this.#has(account, at)) throw new Refusal(400, 'RepoNotFound');
        const active = account.status === 'active';
        return { did, active, ...(active ? { rev: account.head.rev } : { status: account.status }) };
      }
      case 'com.atproto.sync.getLatestCommit': {
        const { head } = this.#repo(did, at);
        return { cid: `${head.cid}`, rev: head.rev };
      }
      case 'com.atproto.sync.getRepo': {
        this.fetches.set(did, (this.fetches.get(did) ?? 0) + 1);
        const account = this.#repo(did, at);
        const place = this.answers.findIndex((a) => a.did === did);
        return place < 0 ? account.car() : this.answers.splice(place, 1)[0].make(res);
      }
      default:
        throw new Refusal(501, 'MethodNotImplemented');
    }
  }
}
