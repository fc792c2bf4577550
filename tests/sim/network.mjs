// The simulated network as a load generator: repos that can be fetched, and a stream of true commits that
// is sent as fast as it is taken, from memory.
//
//   scripts/node tests/sim/network.mjs --repos 500 --commits 60000
//
// Options and their defaults: load.mjs (seed, repos, records of each at the start, commits, ours: share of
// commits with collections of ours, bytes of a commit, curve: k256, p256 or mixed); port (0: any);
// listed (a file of lines DID REV: repos that are listed besides, and of which no more is to be had).
// Prints lines of JSON: { url, frames, bytes, records } once it listens, where records is what an index
// must hold at the end by collection; { sent, ms } once all was written to a consumer. Frames are held
// until a line "go" arrives on its standard input (or the option "go"); "end" ends it, and so does the end
// of the input.

import http from 'node:http';
import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { defaults, makeLoad } from './load.mjs';

const chunk = 1 << 18;
const emptyTree = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

export class LoadNetwork {
  // listed: [{ did, rev }], further repos.
  constructor(load, listed = []) {
    this.load = load;
    this.listed = load.repos.concat(listed);
    this.byDid = new Map(load.repos.map((repo) => [repo.did, repo]));
    this.byHandle = new Map(load.repos.map((repo) => [repo.handle, repo]));
    this.gate = Promise.withResolvers();
    this.fetches = 0;
    this.onsent = () => {};
  }

  // What an index must hold at the end: { collection: count }.
  get records() {
    const all = {};
    for (const { counts } of this.load.repos) for (const [c, n] of Object.entries(counts)) all[c] = (all[c] ?? 0) + n;
    return all;
  }

  async listen(port = 0) {
    this.server = http.createServer((req, res) => this.#answer(req, res));
    this.server.on('upgrade', (req, socket) => this.#stream(req, socket));
    this.sockets = new Set();
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise((resolve, reject) => this.server.once('error', reject).listen(port, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  go() {
    this.gate.resolve();
  }

  close() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    return closed;
  }

  #didDocument({ did, handle, key }) {
    return {
      id: did,
      alsoKnownAs: [`at://${handle}`],
      verificationMethod: [{ id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: key.slice('did:key:'.length) }],
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: this.url }],
    };
  }

  #answer(req, res) {
    const { pathname, searchParams: params } = new URL(req.url, this.url);
    const json = (body, status = 200) => res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const repo = this.byDid.get(params.get('did') ?? decodeURIComponent(pathname.slice(1)));
    switch (pathname) {
      case '/xrpc/com.atproto.server.describeServer':
        return json({ did: 'did:web:localhost' });
      case '/xrpc/com.atproto.identity.resolveHandle':
        return json({ did: this.byHandle.get(params.get('handle'))?.did });
      case '/xrpc/com.atproto.sync.listRepos':
      case '/xrpc/com.atproto.sync.listReposByCollection': {
        const from = Number(params.get('cursor') ?? 0);
        const to = from + Number(params.get('limit') ?? 500);
        const repos = this.listed.slice(from, to).map(({ did, head = emptyTree, rev }) => ({ did, head, rev, active: true }));
        return json({ repos, cursor: to < this.listed.length ? `${to}` : undefined });
      }
      case '/xrpc/com.atproto.sync.getRepo':
        if (!repo) return json({ error: 'RepoNotFound', message: 'not here' }, 400);
        this.fetches++;
        return res.writeHead(200, { 'content-type': 'application/vnd.ipld.car' }).end(this.load.bytes.subarray(...repo.car));
      default:
        return repo ? json(this.#didDocument(repo)) : json({ error: 'NotFound', message: 'not here' }, 404);
    }
  }

  // WebSocket by hand: what is sent is on the wire already.
  async #stream(req, socket) {
    const accept = createHash('sha1').update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const pongs = [];
    const pump = { idle: true };
    socket.on('data', (data) => {
      pongs.push(...pings(data));
      if (pump.idle) for (const pong of pongs.splice(0)) socket.write(pong);
    });
    const cursor = Number(new URL(req.url, this.url).searchParams.get('cursor') ?? 0);
    await this.gate.promise;
    const started = performance.now();
    let { from, to, lengths } = this.load;
    for (let seq = 0; seq < cursor; seq++) from += lengths[seq];
    let seq = cursor;
    while (from < to && !socket.destroyed) {
      // Whole messages, so that a pong can go between.
      let end = from;
      while (end < to && end - from < chunk) end += lengths[seq++];
      pump.idle = false;
      if (!socket.write(this.load.bytes.subarray(from, end))) await drained(socket);
      pump.idle = true;
      for (const pong of pongs.splice(0)) socket.write(pong);
      from = end;
    }
    this.onsent({ sent: seq - cursor, ms: Math.round(performance.now() - started) });
  }
}

const drained = (socket) =>
  new Promise((resolve) => {
    const done = () => {
      for (const event of ['drain', 'close']) socket.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close']) socket.on(event, done);
  });

// The answers to the pings in what a client sent: its frames are masked, small and not split here.
function* pings(data) {
  for (let at = 0; at + 6 <= data.length; ) {
    const length = data[at + 1] & 0x7f;
    const mask = data.subarray(at + 2, at + 6);
    const payload = Buffer.from(data.subarray(at + 6, at + 6 + length).map((b, i) => b ^ mask[i % 4]));
    if ((data[at] & 0x0f) === 9) yield Buffer.concat([Buffer.from([0x8a, length]), payload]);
    at += 6 + length;
  }
}

async function listedRead(file) {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return lines.map((line) => ({ did: line.slice(0, line.indexOf(' ')), rev: line.slice(line.indexOf(' ') + 1) }));
}

async function main() {
  const options = Object.fromEntries(Object.keys({ ...defaults, port: 0 }).map((name) => [name, { type: 'string' }]));
  const { values } = parseArgs({ options: { ...options, go: { type: 'boolean' }, listed: { type: 'string' } } });
  const { port = '0', go, listed, curve = defaults.curve, ...rest } = values;
  const numbers = Object.fromEntries(Object.entries(rest).map(([name, text]) => [name, Number(text)]));
  const load = await makeLoad({ ...numbers, curve }, (text) => process.stderr.write(`making the load: ${text}\n`));
  const network = await new LoadNetwork(load, listed && (await listedRead(listed))).listen(Number(port));
  network.onsent = say;
  say({ url: network.url, frames: load.lengths.length, bytes: load.to - load.from, records: network.records });
  if (go) network.go();
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => (line === 'go' ? network.go() : line === 'end' && process.exit(0)));
  lines.on('close', () => process.exit(0));
}

if (process.argv[1] && import.meta.filename === process.argv[1]) await main();
