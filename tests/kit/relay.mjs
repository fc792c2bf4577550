// A small relay: the firehoses of several PDSs as one, under sequence numbers of
// its own, and who has records of a collection. It verifies nothing and says what
// it is told to say.
//
//   const relay = await startRelay([pds1.url, pds2.url]);
//   relay.say('#account', { did, active: false, status: 'deleted' });
//   relay.drop = (frame) => …;             // true: such frames are swallowed
//   relay.repos(MOOD).add(did);            // listed as having records of it
//   relay.requests; relay.count(method);   // as the proxy's

import http from 'node:http';
import WebSocket, { WebSocketServer } from 'ws';
import { decodeFrame, encodeFrame } from './firehose.mjs';
import { freePort } from './wait.mjs';

export class Relay {
  constructor(port) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.frames = []; // of seq i + 1
    this.clients = new Set();
    this.sent = 0; // messages, to all clients
    this.upstreams = [];
    this.collections = new Map();
    this.requests = [];
    this.drop = () => false;
  }

  // DIDs by collection; what the stream showed is added by itself.
  repos(collection) {
    if (!this.collections.has(collection)) this.collections.set(collection, new Set());
    return this.collections.get(collection);
  }

  count(method) {
    return this.requests.filter((r) => r.method === method).length;
  }

  async start(hosts) {
    this.server = http.createServer((req, res) => this.#request(req, res));
    this.webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
    this.server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
    await new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    await Promise.all(hosts.map((host) => this.follow(host)));
    return this;
  }

  // From the host's first event on.
  follow(host) {
    const url = `${host.replace(/^http/, 'ws')}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`;
    const ws = new WebSocket(url, { perMessageDeflate: false });
    this.upstreams.push(ws);
    ws.on('message', (bytes) => this.#take(decodeFrame(bytes)));
    ws.on('error', () => {});
    return new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
    });
  }

  #take(frame) {
    if (frame.header.op !== 1 || frame.type === '#info' || this.drop(frame)) return;
    for (const op of frame.body.ops ?? []) {
      if (op.action !== 'delete') this.repos(op.path.split('/')[0]).add(frame.body.repo);
    }
    this.say(frame.type, frame.body);
  }

  // As if it came from a host.
  say(type, body) {
    const seq = this.frames.length + 1;
    this.send(encodeFrame({ op: 1, t: type }, { time: new Date().toISOString(), ...body, seq }));
    return seq;
  }

  // A frame as it is; it takes the next sequence number, whatever it says.
  send(bytes) {
    this.frames.push(bytes);
    for (const client of this.clients) this.#send(client, bytes);
  }

  #send(client, bytes) {
    client.send(bytes);
    this.sent++;
  }

  #request(req, res) {
    const url = new URL(req.url, this.url);
    const method = url.pathname.replace(/^\/xrpc\//, '');
    this.requests.push({ method, query: url.searchParams });
    const answer = (status, body) => {
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(JSON.stringify(body));
    };
    if (method !== 'com.atproto.sync.listReposByCollection')
      return answer(501, { error: 'MethodNotImplemented', message: 'Method Not Implemented' });
    // Pages of two, so that there are some.
    const all = [...this.repos(url.searchParams.get('collection'))].sort();
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const repos = all.slice(from, from + 2).map((did) => ({ did }));
    answer(200, { repos, ...(from + 2 < all.length && { cursor: String(from + 2) }) });
  }

  #upgrade(req, socket, head) {
    const cursor = new URL(req.url, this.url).searchParams.get('cursor');
    this.requests.push({ method: 'com.atproto.sync.subscribeRepos', cursor });
    this.webSockets.handleUpgrade(req, socket, head, (client) => {
      if (cursor !== null) for (const bytes of this.frames.slice(Number(cursor))) this.#send(client, bytes);
      this.clients.add(client);
      client.on('error', () => {});
      client.on('close', () => this.clients.delete(client));
    });
  }

  async close() {
    for (const ws of [...this.upstreams, ...this.clients]) ws.terminate();
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}

export async function startRelay(hosts) {
  return new Relay(await freePort()).start(hosts);
}
