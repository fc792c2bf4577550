// The servers of a simulated network in this process: a DID directory, a PDS and its firehose on one
// port, another PDS on a second one. It answers from the accounts it is given and sends what it is told;
// who asked for which repo is counted.

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

export class Host {
  // accounts: Map of DID → Account; it may grow.
  constructor(accounts) {
    this.accounts = accounts;
    this.seq = 0;
    this.log = []; // { seq, bytes } of what a consumer that comes back gets
    this.held = undefined; // while frames are held back: what is to be sent
    this.sockets = new Set(); // firehose connections that are past their backlog
    this.connects = []; // cursors asked for, null: none
    this.fetches = new Map(); // DID → how often getRepo was called
    this.answers = []; // { did, make(res) }: in place of the repo, the next time it is asked for
    this.requests = new Map(); // method → calls
  }

  async listen() {
    this.server = http.createServer((req, res) => this.#answer(req, res, this));
    this.other = http.createServer((req, res) => res.writeHead(503).end());
    this.webSockets = new WebSocketServer({
      server: this.server,
      path: `${xrpc}com.atproto.sync.subscribeRepos`,
      perMessageDeflate: false,
      autoPong: false,
    });
    this.webSockets.on('connection', (ws, req) => this.#subscribed(ws, req));
    for (const server of [this.server, this.other]) {
      await new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
    }
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    this.otherUrl = `http://127.0.0.1:${this.other.address().port}`;
    return this;
  }

  async close() {
    for (const ws of this.webSockets.clients) ws.terminate();
    for (const server of [this.server, this.other]) {
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

  async #answer(req, res) {
    const url = new URL(req.url, this.url);
    try {
      const body = url.pathname.startsWith(xrpc)
        ? await this.#call(url.pathname.slice(xrpc.length), url.searchParams, res)
        : this.#didDocument(decodeURIComponent(url.pathname.slice(1)));
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
    return account.didDocument(account.home ? this.url : this.otherUrl);
  }

  #repo(did) {
    const account = this.accounts.get(did);
    if (!account?.head || !account.home || account.status === 'deleted') throw new Refusal(400, 'RepoNotFound');
    if (inactive[account.status]) throw new Refusal(400, inactive[account.status]);
    return account;
  }

  #list(params, fits) {
    const from = Number(params.get('cursor') ?? 0);
    const limit = Number(params.get('limit') ?? 500);
    const all = [...this.accounts.values()].filter((a) => a.head && a.home && !a.unlisted && a.status !== 'deleted' && fits(a));
    const cursor = from + limit < all.length ? `${from + limit}` : undefined;
    return { page: all.slice(from, from + limit), cursor };
  }

  async #call(method, params, res) {
    this.requests.set(method, (this.requests.get(method) ?? 0) + 1);
    const did = params.get('did');
    switch (method) {
      case 'com.atproto.server.describeServer':
        return { did: 'did:web:localhost', availableUserDomains: ['.test'] };
      case 'com.atproto.identity.resolveHandle': {
        const found = [...this.accounts.values()].find((a) => a.handle === params.get('handle') && !a.handleStolen);
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
        if (!account?.head || !account.home) throw new Refusal(400, 'RepoNotFound');
        const active = account.status === 'active';
        return { did, active, ...(active ? { rev: account.head.rev } : { status: account.status }) };
      }
      case 'com.atproto.sync.getLatestCommit': {
        const { head } = this.#repo(did);
        return { cid: `${head.cid}`, rev: head.rev };
      }
      case 'com.atproto.sync.getRepo': {
        this.fetches.set(did, (this.fetches.get(did) ?? 0) + 1);
        const account = this.#repo(did);
        const at = this.answers.findIndex((a) => a.did === did);
        return at < 0 ? account.car() : this.answers.splice(at, 1)[0].make(res);
      }
      default:
        throw new Refusal(501, 'MethodNotImplemented');
    }
  }
}
