// How queries are asked and refused: parameters, verbs, sizes, cursors, other origins, and HTTP/2, which
// is not spoken here.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { MOOD, PAINTING, moodRecord, objectId } from '../kit/shapes.mjs';
import { within } from '../kit/wait.mjs';
import { explain, metrics, refusal, seen, startScene, tid } from './scene.mjs';

const group = 'computer.aesthetic.refkey.';

describe('a request', () => {
  let scene;
  let refkey;
  let ada;
  let one; // a record, with its ref

  before(async () => {
    scene = await startScene({ mongo: false });
    ada = await scene.stranger();
    const ref = String(objectId());
    one = { ref, ...(await scene.pds.createRecord(ada, MOOD, moodRecord({ ref }))) };
    for (let i = 0; i < 3; i++) await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: objectId() }));
    refkey = await scene.refkey({ REFKEY_HOSTNAME: 'refkey.example.org', REFKEY_ADMIN_PASSWORD: 'open-sesame' });
    await seen(refkey, one);
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  const refuse = (...a) => refusal(refkey, ...a);
  const refuseXrpc = (methodAndQuery, ...more) => refuse(`/xrpc/${group}${methodAndQuery}`, ...more);

  async function ask(method, params) {
    const { status, body } = await refkey.xrpc(method, params);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  it('say that there is no such record or repo', async () => {
    const unknown = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
    await refuseXrpc(`getByRef?ref=${objectId()}`, 400, 'RecordNotFound');
    await refuseXrpc('getByRef?ref=not-an-object-id', 400, 'RecordNotFound');
    await refuseXrpc(`getByRkey?repo=${ada.did}&collection=${MOOD}&rkey=${tid()}`, 400, 'RecordNotFound');
    await refuseXrpc(`getByRkey?repo=${ada.did}&collection=${PAINTING}&rkey=${one.rkey}`, 400, 'RecordNotFound');
    await refuseXrpc(`getByRkey?repo=${unknown}&collection=${MOOD}&rkey=${tid()}`, 400, 'RecordNotFound');
    await refuseXrpc(`getByRkey?repo=nobody.test&collection=${MOOD}&rkey=${tid()}`, 400, 'RecordNotFound');
    await refuseXrpc(`listRecords?collection=${MOOD}&repo=${unknown}`, 400, 'RepoNotFound');
  });

  it('refuse wrong parameters by name', async () => {
    const rkey = tid();
    const cases = [
      ['getByRef', /ref/],
      ['getByRef?collection=' + MOOD, /ref/],
      ['getByRef?ref=', /ref/],
      ['getByRef?ref', /ref/],
      ['getByRef?ref=a&ref=b', /ref/],
      [`getByRef?ref=${'a'.repeat(65)}`, /ref.*64/],
      ['getByRef?ref=%ff%fe', /ref.*UTF-8/],
      ['getByRef?ref=%c3', /ref.*UTF-8/],
      ['getByRef?ref=%ed%a0%80', /ref.*UTF-8/],
      ['getByRef?%ff=1&ref=a', /UTF-8/],
      ['getByRef?ref=%zz', /ref/],
      ['getByRef?ref=a%00b', /ref/],
      ['getByRef?ref=a&other=1', /other/],
      ['getByRef?ref=a&Ref=b', /Ref/],
      ['getByRef?ref=a&collection=app.bsky.feed.post', /collection.*computer\.aesthetic\.mood/],
      [`getByRkey?collection=${MOOD}&rkey=${rkey}`, /repo/],
      [`getByRkey?repo=${ada.did}&rkey=${rkey}`, /collection/],
      [`getByRkey?repo=${ada.did}&collection=${MOOD}`, /rkey/],
      [`getByRkey?repo=Ada&collection=${MOOD}&rkey=${rkey}`, /repo/],
      [`getByRkey?repo=did:PLC:x&collection=${MOOD}&rkey=${rkey}`, /repo/],
      [`getByRkey?repo=${'a'.repeat(250)}.test&collection=${MOOD}&rkey=${rkey}`, /repo/],
      [`getByRkey?repo=${ada.did}&collection=${MOOD}&rkey=..`, /rkey/],
      [`getByRkey?repo=${ada.did}&collection=${MOOD}&rkey=a%2Fb`, /rkey/],
      [`getByRkey?repo=${ada.did}&collection=${MOOD}&rkey=${'a'.repeat(513)}`, /rkey/],
      ['listRecords', /collection/],
      ...['0', '101', '-1', '1.5', 'ten', '', '1e1', '0x10', '99999999999999999999', ' 5'].map((limit) => [
        `listRecords?collection=${MOOD}&limit=${limit}`,
        /limit.*1 to 100/,
      ]),
      [`listRecords?collection=${MOOD}&reverse=yes`, /reverse.*true or false/],
      [`listRecords?collection=${MOOD}&since=yesterday`, /since/],
      [`listRecords?collection=${MOOD}&until=2026-13-01T00:00:00Z`, /until/],
      [`listRecords?collection=${MOOD}&repo=a b`, /repo/],
      ['resolve?refs=', /refs/],
      ['resolve?uris=https://example.org', /uris/],
      [`resolve?uris=at://${ada.did}`, /uris/],
      ['getStatus?a=1', /\ba\b/],
      [`getPainting?code=${'c'.repeat(11)}`, /code.*10/],
      [`getPainting?slug=${'s'.repeat(129)}`, /slug.*128/],
    ];
    for (const [query, message] of cases) await refuseXrpc(query, 400, 'InvalidRequest', message);
    // On the other side of the bounds.
    const found = [
      `getByRef?ref=${'a'.repeat(64)}`,
      `getPainting?slug=${'s'.repeat(128)}`,
      'getPainting?code=1234567890',
    ];
    for (const query of found) await refuseXrpc(query, 400, 'RecordNotFound');
    await refuseXrpc(`getByRkey?repo=${ada.did}&collection=${MOOD}&rkey=${'a'.repeat(512)}`, 400, 'RecordNotFound');
  });

  it('refuse cursors that they did not give, or gave for something else', async () => {
    const { cursor } = (await ask('listRecords', { collection: MOOD, limit: 1 })) ?? {};
    assert.match(cursor, /^[\w.~-]+$/, 'it can stand in a query as it is');
    const bad = [
      '',
      'x',
      'AAAA',
      cursor.slice(1),
      cursor.slice(0, -2),
      `${cursor}AA`,
      `${cursor}=`,
      `${cursor[0] === 'A' ? 'B' : 'A'}${cursor.slice(1)}`,
      'a'.repeat(5000),
      '%ff',
    ];
    for (const one of bad)
      await refuseXrpc(`listRecords?collection=${MOOD}&cursor=${one}`, 400, 'InvalidRequest', /cursor/);
    for (const other of [
      `collection=${PAINTING}`,
      `collection=${MOOD}&reverse=true`,
      `collection=${MOOD}&repo=${ada.did}`,
    ]) {
      await refuseXrpc(`listRecords?${other}&cursor=${cursor}`, 400, 'InvalidRequest', /cursor/);
    }
  });

  it('answer a wrong verb with 405, an unknown method with 501', async () => {
    const body = '{}';
    const headers = { 'content-type': 'application/json' };
    await refuseXrpc(`getByRef?ref=${one.ref}`, 405, 'MethodNotImplemented', /GET/, {
      method: 'POST',
      headers,
      body,
    });
    for (const method of ['PUT', 'DELETE', 'PATCH'])
      await refuseXrpc('getStatus', 405, 'MethodNotImplemented', /GET/, { method });
    await refuseXrpc('requestResync', 405, 'MethodNotImplemented', /POST/);
    const unknown = [
      `${group}getByref`,
      `${group}getByRef/`,
      `${group}`,
      '',
      'com.atproto.repo.getRecord',
      'a..b',
      'x'.repeat(2000),
    ];
    for (const method of unknown) await refuse(`/xrpc/${method}`, 501, 'MethodNotImplemented');
    await refuse(`/xrpc/${group}other`, 501, 'MethodNotImplemented', /./, { method: 'POST', headers, body });
    const page = await refkey.get('/no/such/page');
    assert.equal(page.status, 404);
  });

  it('refuse what is too long', async () => {
    const long = `/xrpc/${group}getByRef?ref=${'a'.repeat(40_000)}`;
    await refuse(long, 414, undefined);
    // Answered as soon as the length is known.
    const head = `POST /xrpc/${group}requestResync HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;
    const large = await raw(`${head}Content-Length: ${3 << 20}\r\n\r\n"`, { done: (got) => got.endsWith('}') });
    assert.match(large, /^HTTP\/1\.1 413 /);
    assert.match(large, /\r\n\r\n\{"error":"\w+","message":".+"\}$/);
    assert.match(large, /access-control-allow-origin: \*/i);
    const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
    const endless = await raw(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(48)}`, {
      done: (got) => got.endsWith('}'),
    });
    assert.match(endless, /^(HTTP\/1\.1 413 |$)/);
    await ask('getStatus');
    // Longer than a head may be, at once.
    await refuse(`/xrpc/${group}getByRef?ref=${'a'.repeat(1_000_000)}`, 414, 'UriTooLong');
    const wide = await raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(300_000)}\r\n\r\n`, { done: () => false });
    assert.match(wide, /^HTTP\/1\.1 431 [^]*\r\n\r\n\{"error":"HeadTooLarge","message":".+"\}$/);
    await ask('getStatus');
  });

  it('keep admin methods for the administrator', async () => {
    const json = { 'content-type': 'application/json' };
    const basic = (text) => `Basic ${Buffer.from(text).toString('base64')}`;
    const methods = [
      ['listIssues', 'GET'],
      ['requestResync', 'POST'],
      ['deleteRecord', 'POST'],
      ['forgetRepo', 'POST'],
    ];
    for (const [name, method] of methods) {
      const body = method === 'POST' ? '{"repo":"did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"}' : undefined;
      await refuseXrpc(name, 401, 'AuthMissing', /./, { method, headers: json, body });
      for (const wrong of [
        basic('admin:wrong'),
        basic('admin:'),
        basic('root:open-sesame'),
        'Basic !',
        'Bearer x',
        basic('admin'),
      ]) {
        await refuseXrpc(name, 401, 'AuthInvalid', /./, { method, headers: { ...json, authorization: wrong }, body });
      }
    }
  });

  it('may be asked by a page of any origin', async () => {
    const headers = {
      origin: 'https://aesthetic.computer',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'atproto-accept-labelers',
    };
    const preflight = await refkey.get(`/xrpc/${group}getByRef?ref=${one.ref}`, { method: 'OPTIONS', headers });
    assert.ok([200, 204].includes(preflight.status));
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    assert.match(preflight.headers.get('access-control-allow-methods'), /\bGET\b/);
    for (const name of ['authorization', 'content-type', 'atproto-proxy', 'atproto-accept-labelers', '*'])
      assert.ok(preflight.headers.get('access-control-allow-headers').split(', ').includes(name), name);
    assert.equal(preflight.headers.get('access-control-max-age'), '86400');
    assert.equal(preflight.body, '');
  });

  it('answer to HEAD with the head of GET', async () => {
    const path = `/xrpc/${group}getByRef?ref=${one.ref}`;
    const length = (await (await fetch(refkey.url + path)).arrayBuffer()).byteLength;
    const head = await refkey.get(path, { method: 'HEAD' }).catch((e) => e);
    // A body of nothing is no JSON to the kit: only that it answered counts then.
    if (!(head instanceof Error)) assert.equal(Number(head.headers.get('content-length')), length);
    await ask('getStatus');
  });

  it('go with metrics, a DID document and a page for people', async () => {
    const all = await metrics(refkey);
    assert.equal(all.refkey_stream_connected, 1);
    assert.ok(Object.keys(all).some((name) => name.startsWith('refkey_refused_total{reason="')));
    const did = await refkey.get('/.well-known/did.json');
    assert.equal(did.body.id, 'did:web:refkey.example.org');
    const service = did.body.service.find(({ id }) => id === '#refkey');
    assert.equal(service.serviceEndpoint, 'https://refkey.example.org');
    assert.equal((await refkey.get('/')).status, 200);
  });

  // Writes raw bytes, gives what came back until nothing more comes or the peer closes.
  function raw(bytes, { done }) {
    const { port } = new URL(refkey.url);
    return within(
      60_000,
      'an answer on a raw socket',
      new Promise((resolve, reject) => {
        const socket = net.connect(port, '127.0.0.1');
        let got = Buffer.alloc(0);
        socket.on('error', (e) => (e.code === 'ECONNRESET' || e.code === 'EPIPE' ? resolve(got) : reject(e)));
        socket.on('data', (chunk) => {
          got = Buffer.concat([got, chunk]);
          if (done(got.toString('latin1'))) socket.destroy();
        });
        socket.on('close', () => resolve(got));
        socket.write(bytes);
      }),
    ).then((got) => got.toString('latin1'));
  }
  const settingsFrame = Buffer.from('000000040000000000', 'hex');

  it('do not upgrade to HTTP/2', async () => {
    const text = await raw(
      'GET /xrpc/_health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
      { done: (got) => /\r\n\r\n.*\}/s.test(got) },
    );
    assert.match(text, /^HTTP\/1\.1 200 /);
    assert.doesNotMatch(text, /101 Switching|upgrade: h2c/i);
  });

  it('do not speak HTTP/2 to its preface', async () => {
    const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settingsFrame]);
    const text = await raw(preface, { done: () => false });
    assert.match(text, /^HTTP\/1\.1 400 [^]*\{"error":"InvalidRequest","message":".+"\}$/);
    // In pieces, too.
    const split = await raw(preface.subarray(0, 16), { done: () => false });
    assert.match(split, /^HTTP\/1\.1 400 [^]*\{"error":"InvalidRequest","message":".+"\}$/);
    await ask('getStatus');
  });

  it('take several requests of one connection, in order', async () => {
    const one = (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const text = await raw(one('/xrpc/_health') + one(`/xrpc/${group}getStatus`) + one('/xrpc/nope'), {
      done: (got) => got.includes('MethodNotImplemented'),
    });
    const codes = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((m) => m[1]);
    assert.deepEqual(codes, ['200', '200', '501']);
  });

  // With a request behind it that must not be answered: others would take it for a body, or a part of one.
  it('that two readers may read in two ways are refused, and end the connection', async () => {
    const head = `POST /xrpc/${group}requestResync HTTP/1.1\r\nHost: a\r\n`;
    const smuggled = 'GET /xrpc/smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
    const heads = {
      'two equal lengths': `${head}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`,
      'two lengths': `${head}Content-Length: 0\r\nContent-Length: 42\r\n\r\n`,
      'a list of lengths': `${head}Content-Length: 0, 0\r\n\r\n`,
      'length and coding': `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      'coding and length': `${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
      'another coding': `${head}Transfer-Encoding: gzip\r\n\r\n`,
      'two codings': `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      'a folded coding': `${head}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
      'chunks in HTTP/1.0': 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'two hosts': `${head}Host: b\r\n\r\n`,
      'no host': 'GET / HTTP/1.1\r\n\r\n',
      'bare line feeds': 'GET / HTTP/1.1\nHost: a\n\n',
      'a NUL': `${head}X: \0\r\n\r\n`,
      'no version': 'GET /\r\n\r\n',
      nonsense: 'nonsense\r\n\r\n',
    };
    for (const [what, bytes] of Object.entries(heads)) {
      const text = await raw(bytes + smuggled, { done: () => false });
      assert.match(text, /^HTTP\/1\.1 400 [^]*\r\n\r\n\{"error":"InvalidRequest","message":".+"\}$/, what);
      assert.equal(text.split('\r\nDate: ').length, 2, `${what}: one answer`);
    }
    // And what looks odd but is well-formed.
    const fine = [
      `GET http://other/xrpc/${group}getStatus HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET /xrpc/${group}getStatus HTTP/1.0\r\n\r\n`,
      `GET /xrpc/${group}getStatus HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
      `\r\nGET /xrpc/${group}getStatus HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    ];
    for (const bytes of fine) assert.match(await raw(bytes, { done: () => false }), /^HTTP\/1\.1 200 /, bytes);
  });

  // As many as any client may ask, in the name of one behind a proxy.
  it('of one far client are answered 30,000 times in five minutes, of others on', async () => {
    const { port } = new URL(refkey.url);
    const socket = net.connect(port, '127.0.0.1');
    const get = (address) => `GET /xrpc/nope HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${address}\r\n\r\n`;
    const count = { 501: 0, 429: 0 };
    let tail = '';
    await within(
      120_000,
      'answers to 30,001 requests',
      new Promise((resolve, reject) => {
        socket.on('error', reject).on('close', resolve);
        socket.on('data', (chunk) => {
          const parts = (tail + chunk.toString('latin1')).split('HTTP/1.1 ');
          for (const part of parts.slice(1)) if (part.length >= 3) count[part.slice(0, 3)]++;
          // What the next chunk may still make a status of.
          const last = parts.at(-1);
          tail = parts.length > 1 && last.length < 3 ? `HTTP/1.1 ${last}` : last.slice(-11);
          if (count[501] + count[429] === 30_001) socket.destroy();
        });
        for (let i = 0; i < 30_001; i++) socket.write(get('198.51.100.7'));
      }),
    );
    assert.deepEqual(count, { 501: 30_000, 429: 1 });
    const before = Date.now() / 1000;
    const limited = await refkey.get('/xrpc/_health', { headers: { 'x-forwarded-for': '198.51.100.7' } });
    const after = Date.now() / 1000;
    assert.equal(limited.status, 429);
    assert.equal(limited.body.error, 'RateLimitExceeded');
    assert.equal(limited.headers.get('ratelimit-limit'), '30000');
    assert.equal(limited.headers.get('ratelimit-remaining'), '0');
    assert.equal(limited.headers.get('ratelimit-policy'), '30000;w=300');
    const reset = Number(limited.headers.get('ratelimit-reset'));
    assert.ok(reset > before && reset <= after + 301, `${reset - before} s`);
    // Whenever it was answered in between, in whole seconds.
    const answered = reset - Number(limited.headers.get('retry-after'));
    assert.ok(answered >= before - 2 && answered <= after + 2, `${answered - before} s`);
    const other = await refkey.get('/xrpc/_health', { headers: { 'x-forwarded-for': '198.51.100.7, 198.51.100.8' } });
    assert.equal(other.status, 200);
    assert.equal(other.headers.get('ratelimit-remaining'), '29999');
    const near = await refkey.get('/xrpc/_health');
    assert.equal(near.status, 200);
    assert.equal(near.headers.get('ratelimit-limit'), null);
  });
});
