// Stands in front of a PDS, passes everything on and does wrong where it is told.
//
//   const proxy = await startProxy(pds.url);
//   new Refkey({ REFKEY_PDS_URL: proxy.url, REFKEY_PDS_PUBLIC_URL: pds.url, … });
//
// HTTP: proxy.http(wrong, { method, query, times }) — the next `times` requests of the
//   XRPC method (whose URLSearchParams fit the predicate) go wrong: { status, headers, body: text or () => text }, { delay: ms }, { hang: true },
//   { truncate: bytes }, { hold: true or a promise } (the PDS answers, we do not or then: `held` counts) { instead: text } (the PDS answers, and that is said) or
//   { reset: true }. The answer tells how often it `fired`.
// Firehose: proxy.stream(fault, { when, times }) — fault is one of `faults`; when is
//   a predicate of the decoded frame { header, body, type, bytes }.
//   proxy.inject(bytes), proxy.sendRaw(bytes), proxy.disconnect(), proxy.stall(),
//   proxy.down(), proxy.up() act at once.
// Seen: proxy.requests [{ method, query, headers, status }], proxy.count(method),
//   proxy.connections [{ cursor, open, sent }].
//
// A fault that never fired proves nothing: tests assert `fired`.

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket, { WebSocketServer } from 'ws';
import { decodeFrame } from './firehose.mjs';
import { freePort } from './wait.mjs';

const highWater = 1 << 20;

// What can be done to one frame. Each gets (frame, connection) and answers with
// what to send in its place: buffers, in order.
export const faults = {
  drop: () => [],
  duplicate: ({ bytes }) => [bytes, bytes],
  // Sent right after the next frame.
  swapWithNext: ({ bytes }, connection) => {
    connection.held.push(bytes);
    return [];
  },
  truncate: (n) => ({ bytes }) => [bytes.subarray(0, n < 0 ? bytes.length + n : n)],
  append: (more) => ({ bytes }) => [Buffer.concat([bytes, more])],
  replace: (make) => (frame) => [make(frame)].flat(),
  before: (...others) => ({ bytes }) => [...others, bytes],
  after: (...others) => ({ bytes }) => [bytes, ...others],
  delay: (ms) => async ({ bytes }) => {
    await sleep(ms);
    return [bytes];
  },
  // Sends the first n bytes of the WebSocket frame, then resets the connection.
  closeMidFrame: (n) => ({ bytes }, connection) => {
    connection.socket.write(wireFrame(bytes).subarray(0, n));
    connection.destroySoon();
    return [];
  },
  closeAfter: ({ bytes }, connection) => {
    connection.client.send(bytes);
    connection.client.close(1011);
    return [];
  },
};

// A server's unmasked binary message as bytes on the wire.
export function wireFrame(payload) {
  const n = payload.length;
  let head;
  if (n < 126) {
    head = Buffer.from([0x82, n]);
  } else if (n < 65536) {
    head = Buffer.from([0x82, 126, n >> 8, n & 255]);
  } else {
    head = Buffer.alloc(10);
    head[0] = 0x82;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(n), 2);
  }
  return Buffer.concat([head, payload]);
}

export class Proxy {
  constructor(target, port) {
    this.target = new URL(target);
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.requests = [];
    this.connections = [];
    this.httpFaults = [];
    this.streamFaults = [];
    this.stalled = false;
    this.pongs = true;
    this.sockets = new Set();
  }

  async up() {
    this.server = http.createServer((req, res) => this.#request(req, res));
    this.server.keepAliveTimeout = 90_000; // as the PDS
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => {});
    });
    this.webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, autoPong: false });
    this.server.on('upgrade', (...a) => this.#upgrade(...a));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
    return this;
  }

  // Nobody listens any more: connections are refused until up().
  async down() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  close() {
    return this.server.listening ? this.down() : undefined;
  }

  // method undefined: any.
  http(wrong, { method, query = () => true, times = Infinity } = {}) {
    const fault = { ...wrong, method, query, times, fired: 0, held: 0, end: () => (fault.times = 0) };
    this.httpFaults.push(fault);
    return fault;
  }

  stream(act, { when = () => true, times = Infinity } = {}) {
    const fault = { act, when, times, fired: 0, end: () => (fault.times = 0) };
    this.streamFaults.push(fault);
    return fault;
  }

  // Ends all faults.
  honest() {
    for (const fault of [...this.httpFaults, ...this.streamFaults]) fault.end();
    this.stall(false);
    this.pongs = true;
  }

  count(method) {
    return this.requests.filter((r) => r.method === method).length;
  }

  get open() {
    return this.connections.filter((c) => c.open);
  }

  // A binary message on every open firehose connection; a string is a text message.
  inject(message) {
    for (const c of this.open) c.client.send(message);
  }

  // Bytes on the wire that need not be WebSocket frames.
  sendRaw(bytes) {
    for (const c of this.open) c.socket.write(bytes);
  }

  // Resets every firehose connection; code: closes it with a close frame instead.
  disconnect(code) {
    for (const c of this.open) code ? c.client.close(code) : c.client.terminate();
  }

  // Frames are kept back, the connection stays; with stall(false) they arrive.
  // `pongs = false` makes it look dead, too.
  stall(on = true) {
    this.stalled = on;
    if (!on) for (const c of this.open) c.pump();
  }

  #request(req, res) {
    const [path, query = ''] = req.url.split('?');
    const method = path.replace(/^\/xrpc\//, '');
    const seen = { method, query: new URLSearchParams(query), headers: req.headers, at: performance.now(), status: undefined };
    this.requests.push(seen);
    res.on('close', () => (seen.status = res.statusCode));

    const fault = this.httpFaults.find(
      (f) => f.times > 0 && (!f.method || f.method === method) && f.query(seen.query),
    );
    if (fault) {
      fault.times--;
      fault.fired++;
      if (fault.hang) return;
      if (fault.reset) return req.socket.resetAndDestroy();
      if (fault.status) {
        const made = typeof fault.body === 'function' ? fault.body() : fault.body;
        const body = made ?? JSON.stringify({ error: 'Fault', message: 'as the test asked' });
        res.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
        return res.end(body);
      }
    }
    const pass = () => this.#forward(req, res, fault);
    fault?.delay ? setTimeout(pass, fault.delay) : pass();
  }

  #forward(req, res, fault) {
    const up = http.request(
      {
        host: '127.0.0.1',
        port: this.target.port,
        method: req.method,
        path: req.url,
        headers: { ...req.headers, host: this.target.host },
      },
      (answer) => {
        if (fault?.hold) {
          const chunks = [];
          answer.on('data', (chunk) => chunks.push(chunk));
          answer.on('end', async () => {
            fault.held++;
            if (fault.hold === true) return;
            await fault.hold;
            res.writeHead(answer.statusCode, answer.headers).end(Buffer.concat(chunks));
          });
          return;
        }
        if (fault?.instead !== undefined) {
          answer.resume().on('end', () => res.writeHead(answer.statusCode, { 'content-type': 'text/html' }).end(fault.instead));
          return;
        }
        res.writeHead(answer.statusCode, answer.headers);
        if (fault?.truncate === undefined) {
          answer.pipe(res);
          return;
        }
        // The length that the PDS named, and less than that.
        let left = fault.truncate;
        answer.on('data', (chunk) => {
          if (left <= 0) return;
          res.write(chunk.subarray(0, left), () => left <= 0 && res.destroy());
          left -= chunk.length;
        });
        answer.on('end', () => res.destroy());
      },
    );
    up.on('error', () => (res.headersSent ? res.destroy() : res.writeHead(502).end()));
    res.on('close', () => up.destroy());
    req.pipe(up);
  }

  #upgrade(req, socket, head) {
    const url = new URL(req.url, this.url);
    const refuse = (status) => socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    const method = url.pathname.replace(/^\/xrpc\//, '');
    this.requests.push({ method, query: url.searchParams, headers: req.headers, at: performance.now(), status: 101 });

    const fault = this.httpFaults.find((f) => f.times > 0 && (!f.method || f.method === method));
    if (fault) {
      fault.times--;
      fault.fired++;
      if (fault.hang) return;
      return fault.status ? refuse(fault.status) : socket.resetAndDestroy();
    }

    const upstream = new WebSocket(`ws://127.0.0.1:${this.target.port}${req.url}`, { perMessageDeflate: false });
    // Frames that follow right behind the PDS's 101.
    const early = [];
    const keep = (bytes) => early.push(bytes);
    upstream.on('message', keep);
    upstream.once('unexpected-response', (_, answer) => refuse(answer.statusCode));
    upstream.on('error', () => !upstream.accepted && refuse(502));
    upstream.once('open', () => {
      upstream.accepted = true;
      this.webSockets.handleUpgrade(req, socket, head, (client) => {
        upstream.off('message', keep);
        const connection = new Connection(this, client, upstream, socket, url.searchParams.get('cursor'));
        this.connections.push(connection);
        for (const bytes of early) connection.receive(bytes);
      });
    });
  }
}

// One firehose consumer and its own connection to the PDS.
class Connection {
  constructor(proxy, client, upstream, socket, cursor) {
    Object.assign(this, { proxy, client, upstream, socket, cursor });
    this.open = true;
    this.sent = 0;
    this.waiting = [];
    this.pumping = false;
    this.held = [];
    client.on('ping', (data) => proxy.pongs && client.pong(data));
    client.on('error', () => {});
    client.on('close', () => {
      this.open = false;
      upstream.terminate();
    });
    upstream.on('message', (bytes) => this.receive(bytes));
    upstream.on('close', async (code, reason) => {
      // What the PDS said before it closed goes first.
      this.ending = () => (code === 1006 ? client.terminate() : client.close(code === 1005 ? 1000 : code, reason));
      this.pump();
    });
  }

  receive(bytes) {
    this.waiting.push(bytes);
    if (this.waiting.length > 1000) this.upstream.pause();
    this.pump();
  }

  // In order, one at a time; a slow consumer slows the PDS's side down.
  async pump() {
    if (this.pumping) return;
    this.pumping = true;
    while (this.open && !this.proxy.stalled && this.waiting.length) {
      const bytes = this.waiting.shift();
      if (this.waiting.length < 500 && this.upstream.isPaused) this.upstream.resume();
      const faulted = this.#apply(bytes);
      const out = faulted instanceof Promise ? await faulted : faulted;
      if (out.length) out.push(...this.held.splice(0));
      for (const one of out) {
        if (!this.open) break;
        this.client.send(one);
        this.sent++;
      }
      while (this.open && this.client.bufferedAmount > highWater) await sleep(5);
    }
    this.pumping = false;
    if (this.ending && !this.waiting.length) this.ending();
  }

  #apply(bytes) {
    const live = this.proxy.streamFaults.filter((f) => f.times > 0);
    if (!live.length) return [bytes];
    const frame = { bytes, ...decodeFrame(bytes) };
    const fault = live.find((f) => f.when(frame));
    if (!fault) return [bytes];
    fault.times--;
    fault.fired++;
    return fault.act(frame, this);
  }

  destroySoon() {
    this.open = false;
    this.socket.destroySoon();
    this.upstream.terminate();
  }
}

// port: one that DID documents are to name, chosen before the PDS is started.
export async function startProxy(target, port) {
  return new Proxy(target, port ?? (await freePort())).up();
}
