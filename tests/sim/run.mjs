// One run: a network drawn from a seed, a refkey that follows it, steps that are true, faulty or lies, and
// at the end the question whether refkey serves what is true. See README.md.

import { setTimeout as sleep } from 'node:timers/promises';
import { Refkey } from '../kit/refkey.mjs';
import { patience, until } from '../kit/wait.mjs';
import { metrics, status } from '../e2e/scene.mjs';
import { encodeFrame } from '../kit/firehose.mjs';
import { Account, isActive, newKey } from './account.mjs';
import { commit, drawWrites } from './acts.mjs';
import { Chance } from './chance.mjs';
import { Documents } from './documents.mjs';
import { Host } from './host.mjs';
import { Ledger } from './ledger.mjs';
import { mood } from './records.mjs';
import { report } from './report.mjs';
import { nextStep } from './steps.mjs';
import { check, questions, refusals } from './truth.mjs';

const soon = { deadline: patience, every: 5 };
const pdses = 3; // behind a relay

export class Run {
  // mongo: a server of the kit; undefined: refkey runs without one. relay: refkey follows one.
  constructor(seed, { steps, mongo, relay = false } = {}) {
    this.relay = relay;
    this.chance = new Chance(seed);
    this.ledger = new Ledger(seed);
    this.accounts = new Map();
    this.host = new Host(this.accounts, { pdses: relay ? pdses : 0 });
    this.documents = mongo && new Documents(this, mongo);
    this.stepCount = steps ?? this.chance.between(30, 60);
    this.breaks = 0; // connections broken so far: each makes refkey wait longer
    this.behind = new Set(); // accounts of which something was swallowed, and nothing has shown it yet
    this.counted = {}; // what was refused before refkey was killed, by verdict
    this.served = []; // forged records that were answered
    this.hidden = []; // records that were not, on somebody's word
    this.doing = 'the beginning';
  }

  async newAccount({ listed = true } = {}) {
    const { chance } = this;
    const curve = chance.odds(0.6) ? 'k256' : 'p256';
    const account = new Account({
      did: this.relay && chance.odds(0.25) ? await this.host.web() : chance.did(),
      handle: `${chance.text(10)}.test`,
      curve,
      key: await newKey(curve, chance.bytes(32)),
    });
    account.unlisted = !listed;
    if (this.relay) account.at = chance.int(pdses);
    account.sent = []; // frames of its commits under its present key
    account.early = []; // … of those from before refkey was there
    this.accounts.set(account.did, account);
    return account;
  }

  async open(settings = {}, { deadline } = {}) {
    await this.begin(this.chance.between(3, 8), settings);
    await this.refkey.ready({ deadline });
    await this.settled();
  }

  // So many accounts with something in their repos, and refkey, which begins to fetch them.
  async begin(count, settings) {
    for (let i = 0; i < count; i++) {
      const account = await this.newAccount();
      await account.init(this.chance.tid());
      for (let n = this.chance.int(4); n > 0; n--) {
        await this.write(account, drawWrites(this.chance, account, 8));
      }
      if (this.relay) await this.write(account, [this.create()]); // else it is not listed
      account.oldCar = await account.car();
      this.ledger.gap(account.did, 'the first time');
    }
    this.chance.pass(2 * 60 * 60);
    // Nothing ever happens to it: what is said of it shows how far refkey has come.
    if (this.relay) [this.anchor] = this.accounts.values();
    await this.host.listen();
    await this.documents?.open();
    this.refkey = new Refkey({ REFKEY_PDS_URL: this.host.url, REFKEY_PLC_URL: this.host.url, REFKEY_THREADS: '2', ...(this.relay && { REFKEY_SOURCE: 'relay' }), ...this.documents?.settings, ...settings });
    await this.refkey.start();
  }

  // A record of ours.
  create() {
    const value = mood(this.chance);
    return { action: 'create', path: `${value.$type}/${this.chance.tid()}`, value };
  }

  // Before refkey starts.
  async write(account, writes) {
    const body = await commit(this, account, writes);
    account.early.push({ seq: 1, bytes: encodeFrame({ op: 1, t: '#commit' }, { ...body, seq: 1 }) });
  }

  async close() {
    this.ended = true;
    await this.probing;
    try {
      await this.refkey?.close();
    } finally {
      await this.documents?.close();
      await this.host.close();
    }
  }

  // Everything sent so far is in the index, or refused, or waits for something else than the stream.
  async caughtUp() {
    this.host.release();
    const marker = this.relay
      ? this.host.frame('#account', { did: this.anchor.did, time: this.chance.time, active: true })
      : this.host.frame('#identity', { did: 'did:plc:222222222222222222222222', time: this.chance.time });
    this.host.send(marker);
    await until(async () => (await status(this.refkey)).cursor >= marker.seq, { ...soon, what: `cursor ${marker.seq}` });
  }

  // … and no repo is to be fetched, and each has come to its head, but for those that lack something.
  async settled() {
    await this.caughtUp();
    await until(async () => (await status(this.refkey)).desynchronized === 0, { ...soon, what: 'no repo to be fetched' });
    for (const account of this.accounts.values()) {
      if (!isActive(account) || this.behind.has(account)) continue;
      const { rev } = account.head;
      const options = { ...soon, what: `rev ${rev} of ${account.did}` };
      await this.refkey.until('getRepoStatus', { repo: account.did }, ({ body }) => body.rev === rev, options);
    }
    await this.documents?.settled();
  }

  // Killed while true frames are on their way, and started again.
  async kill(send) {
    await this.settled();
    const differences = async () => (await this.differences()).length === 0;
    await until(differences, { ...soon, what: 'all lies counted' });
    this.counted = await this.refused();
    await send();
    const asking = this.asking;
    this.down = Promise.withResolvers();
    await asking;
    await this.refkey.kill();
    await this.refkey.start();
    this.down.resolve();
    await this.refkey.ready();
    await this.settled();
  }

  // What was refused in all, by verdict.
  async refused() {
    const now = await refusals(this.refkey);
    for (const [verdict, n] of Object.entries(this.counted)) now[verdict] = (now[verdict] ?? 0) + n;
    return now;
  }

  // … and how that differs from the ledger.
  async differences() {
    return this.ledger.differences(await this.refused());
  }

  async connected() {
    await until(() => this.host.sockets.size > 0, { ...soon, what: 'refkey is connected' });
  }

  // The source's repos are compared with the index; whatever was swallowed is found. A host that takes seconds for
  // one answer, as every host does where the machine stands still, is left for the next sweep.
  async swept(ask = () => this.host.outdated()) {
    const told = (message, from) => this.refkey.log().some((l) => l.message === message && Date.parse(l.time) >= from);
    const sweeps = async () => (await metrics(this.refkey)).refkey_sweeps_total;
    for (let left = true; left; ask = () => this.host.outdated()) {
      const [from, earlier] = [Date.now(), await sweeps()];
      await ask();
      await until(async () => (await sweeps()) > earlier, { ...soon, every: 50, what: 'a sweep' });
      await until(() => told('compared with the source', from), { ...soon, what: 'what the sweep says' });
      left = told('hosts of some repos do not answer, or are slow', from);
    }
    this.behind.clear();
    await this.settled();
  }

  // Asks for every forged record, again and again, until the run is over.
  async probe() {
    for (let at = 0; !this.ended; at = (at + 25) % Math.max(25, this.ledger.forged.length)) {
      await this.down?.promise;
      this.asking = this.probeSome(this.ledger.forged.slice(at, at + 25));
      await this.asking;
      await sleep(1);
    }
  }

  async probeSome(forged) {
    const refs = forged.flatMap(({ ref }) => ref ?? []);
    const uris = forged.flatMap(({ uri }) => uri ?? []);
    if (refs.length + uris.length === 0) return;
    const { status: code, body } = await this.refkey.xrpc('resolve', { refs, uris });
    if (code === 200) {
      for (const { uri, value } of body.records) this.served.push(`${uri} ${JSON.stringify(value)}`);
      return;
    }
    // One that is not known yet makes all not ready.
    for (const { method, params } of forged.flatMap(questions)) {
      const answer = await this.refkey.xrpc(method, params);
      const none = answer.body.error === 'RecordNotFound' || answer.body.error === 'NotReady';
      if (!none) this.served.push(`${method} ${JSON.stringify(params)}: ${JSON.stringify(answer.body)}`);
    }
  }

  // A record that is there must be answered.
  async shown(account, [path], why) {
    const [collection, rkey] = path.split('/');
    const { status: code, body } = await this.refkey.xrpc('getByRkey', { repo: account.did, collection, rkey });
    if (code !== 200) this.hidden.push(`${account.did} ${path}, ${why}: ${JSON.stringify(body)}`);
  }

  // … or not, in any case.
  async unshown(account, [path], why) {
    const [collection, rkey] = path.split('/');
    const { status: code, body } = await this.refkey.xrpc('getByRkey', { repo: account.did, collection, rkey });
    if (code !== 400) this.served.push(`${account.did} ${path}, ${why}: ${code} ${JSON.stringify(body)}`);
  }

  async play() {
    this.probing = this.probe().catch((e) => this.ended || this.served.push(`probing ended: ${e.stack}`));
    for (let i = 1; i <= this.stepCount; i++) await nextStep(this, `step ${i} of ${this.stepCount}`);
    this.doing = 'the end';
    await this.settled();
    if (this.behind.size) await this.swept();
    return check(this);
  }
}

// A whole run: its ledger. What is wrong is thrown, with the ledger.
export function runSeed(seed, options = {}) {
  return runScene(seed, options, async (run) => {
    await run.open(options.settings);
    return run.play();
  });
}

// … of what scene(run) does with it, which says what is wrong.
export async function runScene(seed, options, scene) {
  const run = new Run(seed, options);
  try {
    const wrong = await scene(run);
    if (wrong.length) throw new Error(wrong.join('\n'));
    run.ledger.counted = await run.refused();
    return run.ledger;
  } catch (e) {
    // What hangs mostly does so because something false was believed.
    e.message = report(run, e, await run.differences().catch(() => []));
    e.stack = [`${e.name}: ${e.message}`, ...(e.stack.match(/^ +at .*$/gm) ?? [])].join('\n');
    throw e;
  } finally {
    await run.close();
  }
}
