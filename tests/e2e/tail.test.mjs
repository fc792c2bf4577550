// refkey tail: what is printed of a real PDS's firehose, what is not, and how it ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Secp256k1Keypair } from '@atproto/crypto';
import { BlockMap, blocksToCarFile, readCar, signCommit } from '@atproto/repo';
import * as cbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { encodeFrame } from '../kit/firehose.mjs';
import { startProxy } from '../kit/proxy.mjs';
import { binary } from '../kit/refkey.mjs';
import { MOOD, PAINTING, moodRecord, objectId, paintingRecord } from '../kit/shapes.mjs';
import { patience, until, within } from '../kit/wait.mjs';
import { soon, startScene } from './scene.mjs';

const schema = JSON.parse(readFileSync(new URL('../../docs/tail.schema.json', import.meta.url)));

// The part of JSON schema that docs/tail.schema.json uses; the first thing that is wrong, or undefined.
function wrong(value, rule, at = '') {
  if (rule.$ref) return wrong(value, schema.$defs[rule.$ref.replace('#/$defs/', '')], at);
  if (rule.oneOf) {
    const all = rule.oneOf.map((one) => wrong(value, one, at));
    return all.filter((w) => !w).length === 1 ? undefined : `${at}: ${all.join(' | ')}`;
  }
  if (rule.enum) return rule.enum.includes(value) ? undefined : `${at}: ${value} is not one of ${rule.enum}`;
  const is = { integer: Number.isInteger, array: Array.isArray }[rule.type] ?? ((v) => v !== null && typeof v === rule.type);
  if (!is(value)) return `${at} is no ${rule.type}`;
  if (rule.pattern && !new RegExp(rule.pattern).test(value)) return `${at}: ${value} is not ${rule.pattern}`;
  if (rule.minimum !== undefined && value < rule.minimum) return `${at}: ${value} is below ${rule.minimum}`;
  if (rule.items) return value.map((v, i) => wrong(v, rule.items, `${at}[${i}]`)).find(Boolean);
  if (!rule.properties) return undefined;
  const lacks = rule.required.find((name) => !(name in value));
  if (lacks) return `${at} lacks ${lacks}`;
  return Object.entries(value)
    .map(([name, v]) => (rule.properties[name] ? wrong(v, rule.properties[name], `${at}.${name}`) : `${at}.${name} is unknown`))
    .find(Boolean);
}

// A running `refkey tail`: .events, each checked against the schema, .errors (text).
class Tail {
  constructor(settings, args = [], { shell } = {}) {
    const rest = Object.entries(process.env).filter(([name]) => !name.startsWith('REFKEY_'));
    const env = { ...Object.fromEntries(rest), REFKEY_ALLOW_PRIVATE: 'on', REFKEY_DATA_DIR: '/nonexistent/data', ...settings };
    const command = shell ? ['sh', '-c', shell] : [binary, 'tail', ...args];
    this.process = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
      env,
      detached: true, // a group of its own, which ends with the test
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.events = [];
    this.errors = '';
    let text = '';
    this.process.stdout.setEncoding('utf8').on('data', (more) => {
      const lines = (text + more).split('\n');
      text = lines.pop();
      this.events.push(...lines.map((line) => JSON.parse(line)));
    });
    this.process.stderr.setEncoding('utf8').on('data', (more) => (this.errors += more));
    this.over = once(this.process, 'close').then(([code, signal]) => ({ code, signal }));
  }
  connected(times = 1) {
    return until(() => this.errors.split('tail: connected').length > times, { what: `connected: ${this.errors}`, ...soon });
  }
  find(fits, what = 'an event that fits') {
    return until(() => this.events.find(fits), { what: `${what} in ${JSON.stringify(this.events)} ${this.errors}`, ...soon });
  }
  // The line of the commit that wrote this record.
  wrote({ rkey, cid }) {
    return this.find((e) => e.ops?.some((op) => op.rkey === rkey && (!cid || op.cid === String(cid))), `${rkey} ${cid}`);
  }
  ended(deadline = patience) {
    return within(deadline, `it ends: ${this.errors}`, this.over);
  }
  async stop(signal = 'SIGINT') {
    this.process.kill(signal);
    const { code } = await this.ended();
    assert.equal(code, 0, this.errors);
    for (const event of this.events) assert.equal(wrong(event, schema), undefined, JSON.stringify(event));
    const [, printed, passed, refused] = /refkey: (\d+) events printed, (\d+) passed over, (\d+) refused/.exec(this.errors);
    assert.equal(Number(printed), this.events.length, this.errors);
    return { passed: Number(passed), refused: Number(refused) };
  }
}

describe('refkey tail', () => {
  let scene;
  let ada;
  let bea;
  const tails = [];

  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
    [ada, bea] = [await scene.stranger(), await scene.stranger()];
  });
  after(async () => {
    for (const t of tails) {
      try {
        process.kill(-t.process.pid, 'SIGKILL');
      } catch {
        // it has ended
      }
    }
    await scene?.close();
  });

  async function tail(args = [], { settings = {}, connected = true, ...options } = {}) {
    const t = new Tail({ ...scene.settings, ...settings }, args, options);
    tails.push(t);
    if (connected) await t.connected();
    return t;
  }
  const mood = (who, text = 'as it is') => scene.pds.createRecord(who, MOOD, moodRecord({ mood: text, ref: objectId() }));

  it('prints creates, updates and deletes with their records, as they come', async () => {
    const t = await tail();
    const made = await mood(ada, 'línea "one"\n\u2028 🎨');
    const line = await t.wrote(made);
    const { value } = (await scene.pds.listRecordsAll(ada.did, MOOD)).find((r) => r.uri === made.uri);
    assert.deepEqual(line.ops, [{ action: 'create', collection: MOOD, rkey: made.rkey, cid: String(made.cid), record: value }]);
    assert.deepEqual([line.kind, line.did, 'verdict' in line], ['commit', ada.did, false]);
    const changed = await scene.pds.putRecord(ada, MOOD, made.rkey, { ...value, mood: 'changed' });
    const update = await t.wrote({ rkey: made.rkey, cid: changed.cid });
    assert.deepEqual([update.ops[0].action, update.ops[0].record.mood, update.since], ['update', 'changed', line.rev]);
    await scene.pds.deleteRecord(ada, MOOD, made.rkey);
    const gone = await t.find((e) => e.ops?.[0]?.action === 'delete', 'the delete');
    assert.deepEqual(gone.ops, [{ action: 'delete', collection: MOOD, rkey: made.rkey }]);
    assert.ok(gone.seq > update.seq && update.seq > line.seq);
    assert.deepEqual(await t.stop(), { passed: 0, refused: 0 });
  });

  it('prints identities and accounts, too', async () => {
    const t = await tail();
    const cleo = await scene.stranger();
    const identity = await t.find((e) => e.kind === 'identity' && e.did === cleo.did);
    assert.deepEqual([identity.handle, identity.pds], [`${cleo.name}.test`, scene.pds.url]);
    assert.equal((await t.find((e) => e.kind === 'account' && e.did === cleo.did)).active, true);
    await t.find((e) => e.kind === 'sync' && e.did === cleo.did);
    await scene.pds.deactivate(cleo);
    const account = await t.find((e) => e.kind === 'account' && e.did === cleo.did && !e.active);
    assert.equal(account.status, 'deactivated');
    await t.stop();
  });

  it('takes only what is asked for', async () => {
    const [moods, of, both, either] = await Promise.all([
      tail(['--collection', MOOD]),
      tail(['--did', bea.did]),
      tail(['--collection', PAINTING, '--did', bea.did]),
      tail(['--collection', MOOD, '--collection', PAINTING, '--did', ada.did, '--did', bea.did, '--limit', '3']),
    ]);
    const painting = await scene.pds.createRecord(bea, PAINTING, paintingRecord({ code: 'x1', ref: objectId() }));
    const [a, b] = [await mood(ada), await mood(bea)];
    for (const t of [moods, of]) await t.wrote(b);
    await both.wrote(painting);
    assert.equal((await either.ended()).code, 0, either.errors);
    assert.deepEqual(either.events.map((e) => e.ops[0].rkey), [painting.rkey, a.rkey, b.rkey]);
    assert.deepEqual(moods.events.map((e) => e.ops[0].rkey), [a.rkey, b.rkey]);
    assert.deepEqual(of.events.map((e) => e.ops[0].rkey), [painting.rkey, b.rkey]);
    assert.equal((await moods.stop()).passed, 1);
    await of.stop('SIGTERM');
    await until(() => both.errors, { what: 'it runs', ...soon });
    await both.stop();
    assert.equal(both.events.length, 1);
  });

  it('begins where it is told', async () => {
    const made = [await mood(ada), await mood(ada), await mood(bea)];
    const all = await tail(['--cursor', '0']);
    const [first, second, third] = [await all.wrote(made[0]), await all.wrote(made[1]), await all.wrote(made[2])];
    assert.ok(all.events.some((e) => e.kind === 'identity' && e.did === ada.did), 'from the very beginning');
    const later = await tail(['--cursor', String(first.seq), '--limit', '2']);
    assert.equal((await later.ended()).code, 0);
    assert.deepEqual(later.events, [second, third]);
    await all.stop();
    const ahead = await tail(['--cursor', '999999999'], { connected: false });
    assert.equal((await ahead.ended()).code, 2, ahead.errors);
    assert.match(ahead.errors, /--cursor is 999999999/);
  });

  // A frame that is held back is forged, sent, and followed by itself.
  async function forged(forge, act = () => mood(ada)) {
    let frame;
    const times = scene.proxy.open.length;
    const hold = scene.proxy.stream((f) => ((frame = f), []), { when: (f) => f.type === '#commit', times });
    const honest = await act();
    await until(() => hold.fired === times, { what: 'the honest frame is held back', ...soon });
    scene.proxy.inject(await forge(frame));
    scene.proxy.inject(frame.bytes);
    return honest;
  }
  async function foreign({ header, body }) {
    const { roots, blocks } = await readCar(body.blocks);
    const { sig, ...unsigned } = cbor.decode(blocks.get(roots[0]));
    const bytes = cbor.encode(await signCommit(unsigned, await Secp256k1Keypair.create()));
    const cid = CID.createV1(cbor.code, await sha256.digest(bytes));
    const all = new BlockMap();
    blocks.forEach((b, c) => c.equals(roots[0]) || all.set(c, b));
    all.set(cid, bytes);
    return encodeFrame(header, { ...body, commit: cid, blocks: await blocksToCarFile(cid, all) });
  }
  const truncated = ({ bytes }) => bytes.subarray(0, 40);
  const unlisted = ({ header, body }) => encodeFrame(header, { ...body, ops: [] });

  it('drops and counts what is not verified, unless asked for it', async () => {
    const [plain, all] = [await tail(), await tail(['--unverified'])];
    // What was read from the PDS's log before may still come to those that begin now: behind this nothing does.
    const last = await mood(ada);
    for (const t of [plain, all]) await t.wrote(last);
    const before = plain.events.length;
    const forgeries = [
      [foreign, 'signature_wrong', 'commit'],
      [truncated, 'frame_body', 'malformed'],
      [unlisted, 'inversion', 'commit'],
      [() => 'text', 'frame_text', 'malformed'],
    ];
    for (const [forge, verdict, kind] of forgeries) {
      const honest = await forged(forge);
      assert.equal('verdict' in (await plain.wrote(honest)), false);
      await all.find((e) => e.verdict === 'ok' && e.ops?.[0]?.rkey === honest.rkey, 'the honest one');
      const lie = all.events.findLast((e) => e.verdict !== 'ok');
      assert.deepEqual([lie.kind, lie.verdict], [kind, verdict]);
      assert.ok(!lie.ops?.some((op) => 'record' in op), JSON.stringify(lie));
    }
    assert.equal(plain.events.length - before, forgeries.length);
    assert.equal((await plain.stop()).refused, forgeries.length);
    for (const [, verdict] of forgeries) assert.match(plain.errors, new RegExp(`; ${verdict} 1\\b`));
    assert.equal((await all.stop()).refused, forgeries.length);
  });

  it('refuses a commit of an account that lives elsewhere, but not on a relay', async () => {
    const settings = { REFKEY_PDS_PUBLIC_URL: 'https://other.example' };
    const strict = await tail(['--unverified'], { settings });
    const relay = await tail([], { settings: { ...settings, REFKEY_SOURCE: 'relay' } });
    const made = await mood(ada);
    assert.equal((await strict.wrote(made)).verdict, 'repo_elsewhere');
    await relay.wrote(made);
    assert.match(strict.errors, /names another PDS are refused: with REFKEY_SOURCE=relay they are taken/);
    assert.doesNotMatch(relay.errors, /names another PDS/);
    await strict.stop();
    await relay.stop();
  });

  it('goes on where it was when the connection breaks and when the PDS restarts', async () => {
    const t = await tail(['--collection', MOOD]);
    const made = [await mood(ada)];
    await t.wrote(made[0]);
    scene.proxy.disconnect();
    made.push(await mood(ada));
    await t.wrote(made[1]);
    await scene.proxy.down();
    made.push(await mood(bea));
    await until(() => /cannot connect|cannot be asked/.test(t.errors), { what: 'it says so', ...soon });
    await scene.proxy.up();
    made.push(await mood(bea));
    await t.wrote(made[3]);
    await scene.pds.restart();
    made.push(await mood(ada));
    await t.wrote(made[4]);
    assert.deepEqual(t.events.map((e) => e.ops[0].rkey), made.map((m) => m.rkey), 'each once, in order');
    await t.stop();
  });

  it('waits while the DID directory is away', async () => {
    const plc = await startProxy(scene.net.plc.url);
    try {
      const away = plc.http({ status: 503 });
      const made = await mood(ada);
      const t = await tail(['--cursor', '0', '--collection', MOOD], { settings: { REFKEY_PLC_URL: plc.url } });
      await until(() => /waiting for the DID directory/.test(t.errors), { what: 'it says so', ...soon });
      assert.deepEqual(t.events, []);
      plc.honest();
      await t.wrote(made);
      assert.ok(away.fired > 0);
      assert.equal((await t.stop()).refused, 0);
      // Also when told to end meanwhile.
      plc.http({ status: 503 });
      const waiting = await tail(['--cursor', '0'], { settings: { REFKEY_PLC_URL: plc.url } });
      await until(() => /waiting for the DID directory/.test(waiting.errors), { what: 'it says so', ...soon });
      await waiting.stop();
    } finally {
      await plc.close();
    }
  });

  it('says that it waits, and for what', async () => {
    const live = await tail();
    await until(() => /refkey: waiting for events; Ctrl-C ends it\n/.test(live.errors), { what: 'it says so', ...soon });
    assert.match(live.errors, /tail: connected source=\S+ cursor=live\n/);
    await live.stop();
    const t = await tail(['--cursor', '7', '--collection', MOOD, '--collection', 'app.bsky.fed.post', '--did', ada.did]);
    const said = `refkey: waiting for commits to ${MOOD} or app.bsky.fed.post of ${ada.did}; Ctrl-C ends it\n`;
    const strange = `refkey: app.bsky.fed.post is none of the collections that serve follows: ${MOOD} ${PAINTING}\n`;
    await until(() => t.errors.includes(said + strange), { what: `it says so: ${t.errors}`, ...soon });
    assert.match(t.errors, /tail: connected source=\S+ cursor=7\n/);
    await t.stop();
  });

  it('ends when it has nowhere to write', async () => {
    const t = await tail([], { shell: `${binary} tail --cursor 0 >&-; echo code=$? >&2`, connected: false });
    await until(() => /code=/.test(t.errors), { what: `it ends: ${t.errors}`, ...soon });
    assert.match(t.errors, /cannot write: Bad file descriptor\n[^]*code=1\n/);
  });

  it('ends when nobody reads any more', async () => {
    const { settings } = scene;
    const t = await tail([], { shell: `(${binary} tail --cursor 0; echo code=$? >&2) | head -n 1`, settings, connected: false });
    await until(() => /code=/.test(t.errors), { what: `it ends: ${t.errors}`, ...soon });
    assert.match(t.errors, /code=0/);
    assert.equal(t.events.length, 1);
    // Also where nothing comes.
    const quiet = await tail([], { connected: false });
    await quiet.connected();
    quiet.process.stdout.destroy();
    assert.equal((await quiet.ended()).code, 0);
  });

  it('ends with 3 where it never got a connection, and needs no data folder', async () => {
    const t = await tail([], { settings: { REFKEY_PDS_URL: 'http://127.0.0.1:1' }, connected: false });
    await until(() => /cannot/.test(t.errors), { what: 'it tries', ...soon });
    t.process.kill('SIGINT');
    assert.equal((await t.ended()).code, 3, t.errors);
    assert.ok(!existsSync('/nonexistent'));
  });

  it('gives up a source that it never reached, with 3', async () => {
    const t = await tail([], { settings: { REFKEY_PDS_URL: 'http://127.0.0.1:1' }, connected: false });
    assert.equal((await t.ended(2 * patience)).code, 3, t.errors);
    assert.match(t.errors, /the source was not to be had for 30 seconds/);
  });

  it('refuses with 2 what makes no sense', async () => {
    for (const [args, message] of [
      [['--bogus'], /--bogus.*--collection/s],
      [['--collection', 'moods'], /NSID/],
      [['--collection', `${MOOD},${PAINTING}`], /NSID/],
      [['--did', 'ada.test'], /DID/],
      [['--did', 'did:plc:tooshort'], /--did is did:plc:tooshort; accepted: did:plc: and 24/],
      [['--did', 'did:other:thing'], /--did is did:other:thing; accepted: /],
      [['--cursor', 'now'], /--cursor/],
      [['--limit', '0'], /--limit/],
      [['extra'], /extra/],
    ]) {
      const t = await tail(args, { connected: false });
      assert.equal((await t.ended()).code, 2, args.join(' '));
      assert.match(t.errors, message);
    }
  });
});
