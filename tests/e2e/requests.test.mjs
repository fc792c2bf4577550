// Clients that mean no good, or are many: every one gets the contract's error or a timeout, memory is
// bounded, and others are answered meanwhile.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { patience, until, within } from '../kit/wait.mjs';
import { explain, metrics, settled, soon, startScene } from './scene.mjs';

const IDLE = 10_000;
const MB = 1 << 20;

// Open files that one process may have here.
const files = () => Number(readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+\d+\s+(\d+)/m)[1]);

describe('a service under strange clients', () => {
  let scene;
  let refkey;
  let ref;
  let ada;
  const sockets = new Set(); // of the test that runs
  let slowBodies; // from the first test to the last: it takes a minute to lose patience with them

  before(async () => {
    scene = await startScene({ mongo: false });
    ada = await scene.stranger();
    ref = String(objectId());
    await scene.pds.createRecord(ada, MOOD, moodRecord({ ref }));
    const big = () => ({
      action: 'create',
      collection: MOOD,
      value: { ...moodRecord({ mood: 'x'.repeat(4900), ref: objectId() }) },
    });
    await scene.pds.applyWrites(ada, Array.from({ length: 150 }, big));
    refkey = await scene.refkey();
    await settled(refkey);
  });
  after(async () => {
    for (const socket of [...sockets, ...(slowBodies?.sockets ?? [])]) socket.destroy();
    await scene?.close();
  });
  afterEach(async (t) => {
    explain(t, refkey);
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await until(
      async () =>
        (await metrics(refkey)).refkey_http_connections < 20 + slowBodies.sockets.filter((s) => !s.closed).length,
      { what: 'connections ended', ...soon },
    );
    await fine();
  });

  // Bytes of memory that are refkey's own: not the index's pages, which the kernel may take back.
  const memory = () =>
    Number(readFileSync(`/proc/${refkey.child.pid}/status`, 'utf8').match(/^RssAnon:\s+(\d+) kB/m)[1]) * 1024;

  // A client of good will, on a connection of its own; and not made to wait for ever.
  async function fine() {
    const answer = await within(
      patience,
      'an answer',
      refkey.xrpc('getByRef', { ref }, { headers: { connection: 'close' } }),
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.body.ref, ref);
  }

  function connect() {
    const { port } = new URL(refkey.url);
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      socket.text = '';
      socket.ended = new Promise((done) => socket.once('close', done));
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        socket.on('error', () => {});
        resolve(socket);
      });
      socket.once('error', reject);
      sockets.add(socket);
    });
  }
  function listen(socket) {
    socket.on('data', (chunk) => (socket.text += chunk));
    return socket;
  }
  const get = (path, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
  const byRef = () => `/xrpc/computer.aesthetic.refkey.getByRef?ref=${ref}`;
  const page = `/xrpc/computer.aesthetic.refkey.listRecords?collection=${MOOD}&limit=100`;

  // Runs while fn does: good clients are answered all the time.
  async function meanwhile(fn) {
    let asking = true;
    let count = 0;
    const asker = (async () => {
      for (; asking; count++) await fine();
    })();
    asker.catch(() => {});
    try {
      await fn();
    } finally {
      asking = false;
    }
    await asker;
    assert.ok(count > 0);
  }

  it('bodies may come a byte at a time for a while', async () => {
    const slow = (await Promise.all(Array.from({ length: 100 }, connect))).map(listen);
    for (const s of slow) {
      sockets.delete(s);
      s.write(
        'POST /xrpc/computer.aesthetic.refkey.requestResync HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n',
      );
    }
    const drip = setInterval(() => {
      for (const s of slow) if (s.writable) s.write('a');
    }, 500).unref();
    slowBodies = { sockets: slow, end: Promise.all(slow.map((s) => s.ended)).finally(() => clearInterval(drip)) };
    await fine();
  });

  it(`${IDLE} idle connections take little memory and no answer from others`, async (t) => {
    if (files() < IDLE + 500) return t.skip(`${files()} files may be open here, it takes ${IDLE + 500}`);
    await fine();
    const earlier = memory();
    for (let i = 0; i < IDLE; i += 250) await Promise.all(Array.from({ length: 250 }, connect));
    await until(async () => (await metrics(refkey)).refkey_http_connections >= IDLE * 0.95, {
      what: 'as many connections',
      ...soon,
    });
    const grown = memory() - earlier;
    t.diagnostic(`${(grown / IDLE / 1024).toFixed(1)} KB a connection`);
    assert.ok(grown < 160 * MB, `${grown / MB} MB for ${IDLE} connections`);
    for (let i = 0; i < 50; i++) await fine();
    // Those that are there already are answered, too.
    const some = [...sockets]
      .filter((s) => !s.closed)
      .slice(-20)
      .map(listen);
    for (const socket of some) socket.write(get(byRef()));
    await until(() => some.every((s) => s.text.includes('200 OK')), {
      what: 'answers to connections that were idle',
      ...soon,
    });
    return undefined;
  });

  it('gives the memory back', async () => {
    await until(() => memory() < 96 * MB, { what: 'less memory', ...soon });
  });

  it('heads that come a byte at a time are cut off, whole answers go on', async () => {
    const slow = await Promise.all(Array.from({ length: 300 }, connect));
    const endless = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ${'a'.repeat(100_000)}`);
    let at = 0;
    const drip = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write(endless.subarray(at, at + 1));
      at++;
    }, 200);
    try {
      await meanwhile(() => within(patience, 'slow heads are ended', Promise.all(slow.map((s) => s.ended))));
    } finally {
      clearInterval(drip);
    }
  });

  it('answers that nobody reads do not gather in memory', async (t) => {
    const earlier = memory();
    const deaf = await Promise.all(Array.from({ length: 400 }, connect));
    for (const socket of deaf) {
      socket.pause();
      socket.write(get(page).repeat(20));
    }
    await meanwhile(async () => {
      for (let i = 0; i < 20; i++) await fine();
    });
    const grown = memory() - earlier;
    t.diagnostic(`${(grown / MB).toFixed(0)} MB for ${deaf.length} times 20 answers of half a megabyte`);
    assert.ok(grown < 400 * MB, `${grown / MB} MB`);
  });

  it('many requests without an end are each answered, or refused with a 429 or 503', async () => {
    const count = 200;
    const seen = {};
    await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = listen(await connect());
        socket.write(get(byRef()).repeat(50));
        await until(() => socket.closed || socket.text.split('HTTP/1.1 ').length > 50, {
          what: '50 answers',
          ...soon,
        });
        for (const [, code] of socket.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) seen[code] = (seen[code] ?? 0) + 1;
        socket.destroy();
      }),
    );
    const { 200: good, 429: limited = 0, 503: busy = 0, ...other } = seen;
    assert.deepEqual(other, {});
    assert.equal(good + limited + busy, count * 50);
    assert.ok(good > 0);
  });

  it('what is no HTTP is refused or cut off, and harms nobody', async () => {
    const junk = {
      'nothing but line ends': '\r\n'.repeat(50_000),
      zeros: Buffer.alloc(200_000),
      'a TLS hello': Buffer.from('16030100c8010000c40303', 'hex'),
      'no method': ' / HTTP/1.1\r\n\r\n',
      'no version': 'GET /\r\n\r\n',
      'a line without end': 'G'.repeat(1_000_000),
      'a thousand headers': `GET / HTTP/1.1\r\n${Array.from({ length: 1000 }, (_, i) => `X-${i}: a\r\n`).join('')}\r\n`,
      'a header of a megabyte': `GET / HTTP/1.1\r\nX: ${'a'.repeat(MB)}\r\n\r\n`,
      'two lengths': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\naa`,
      'a negative length': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n`,
      'a length of 2^64': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n`,
      'chunks of absurd size': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
      'an unknown coding': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\naa`,
    };
    for (const [what, bytes] of Object.entries(junk)) {
      const socket = listen(await connect());
      socket.write(bytes);
      socket.end();
      await within(patience, `${what} is ended`, socket.ended);
      if (what === 'nothing but line ends') assert.equal(socket.text, '');
      else assert.match(socket.text, /^HTTP\/1\.1 4\d\d [^]*\r\n\r\n\{"error":"\w+","message":".+"\}$/, what);
      await fine();
    }
  });

  it("random parameters are answered with the contract's errors only", async () => {
    const names = ['ref', 'repo', 'collection', 'rkey', 'limit', 'cursor', 'since', 'uris', 'refs', 'code', 'x'];
    const values = [
      '',
      'a',
      '%',
      '%00',
      '%ff',
      '%F0%9F%8C%99',
      'a'.repeat(300),
      ada.did,
      ref,
      MOOD,
      '-1',
      '1',
      'true',
      'at://a/b/c',
      '..',
      '%2e%2e%2f',
      "'--",
      '<b>',
      '{"a":1}',
      '🌙',
      'a&b',
      'a=b=c',
      '+',
      ';',
    ];
    const methods = ['getByRef', 'getByRkey', 'resolve', 'listRecords', 'getPainting', 'getRepoStatus', 'getStatus'];
    const errors = new Set();
    for (let i = 0; i < 600; i++) {
      const one = (list, n) => list[(i * n + Math.floor(i / list.length)) % list.length];
      const query = [1, 7, 11]
        .slice(0, i % 4)
        .map((n) => `${one(names, n)}=${one(values, n + 2).replaceAll('"', '%22')}`)
        .join('&');
      const answer = await refkey.get(`/xrpc/computer.aesthetic.refkey.${one(methods, 3)}?${query}`);
      assert.ok([200, 400].includes(answer.status), `${query}: ${answer.status}`);
      if (answer.status === 400) errors.add(answer.body.error);
    }
    for (const error of errors) assert.ok(['InvalidRequest', 'RecordNotFound', 'RepoNotFound'].includes(error), error);
  });

  it('bodies that still come a byte at a time are cut off', async () => {
    await meanwhile(() => within(2 * patience, 'slow bodies are ended', slowBodies.end));
  });

  it('is stopped, whatever hangs on it', async () => {
    const hanging = await Promise.all(Array.from({ length: 200 }, connect));
    for (const [i, socket] of hanging.entries()) {
      if (i % 3 === 0) socket.write('GET / HT');
      if (i % 3 === 1) (socket.write(get(page).repeat(10)), socket.pause());
    }
    await refkey.stop();
    await refkey.start();
    await refkey.ready();
  });
});
