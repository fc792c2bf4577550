// What MongoDB must hold at the end of a run, by the contract's table. Some records of the first backfill
// have a document already; those that appear while refkey watches get one; what is deleted is marked. What
// depends on how soon refkey looked (a record that came and went) may be either.

import { MongoClient, ObjectId } from 'mongodb';
import { MOOD, moodDocument, paintingDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { collections, status } from '../e2e/scene.mjs';

const ours = (path) => collections.includes(path.split('/')[0]);
const isMood = (value) => value.$type === MOOD;

function documentOf(user, path, value) {
  const { ref, $type, when, mood, code, slug } = value;
  const rest = { _id: new ObjectId(ref), user, when: new Date(when), ...(path && { rkey: path.split('/')[1] }) };
  return $type === MOOD ? moodDocument({ ...rest, mood }) : paintingDocument({ ...rest, code, slug });
}

export class Documents {
  // uri: of the server; each run has a database of its own.
  constructor(run, mongo) {
    Object.assign(this, { run, mongo, first: new Map() });
    this.client = new MongoClient(mongo.uri);
    this.name = `sim${run.ledger.seed}`;
    this.db = this.client.db(this.name);
  }

  get settings() {
    return { ...this.mongo.settings, REFKEY_MONGO_DB: this.name };
  }

  collection(value) {
    return this.db.collection(isMood(value) ? 'moods' : 'paintings');
  }

  // Before refkey starts: users of the accounts there are, documents of some of their records.
  async open() {
    await this.db.collection('paintings').createIndexes([
      { key: { code: 1 }, unique: true },
      { key: { slug: 1, user: 1 }, unique: true },
    ]);
    for (const account of this.run.accounts.values()) {
      await this.claim(account);
      for (const [path, { value }] of account.records) {
        if (!ours(path)) continue;
        const known = Boolean(account.user) && this.run.chance.odds(0.5);
        this.first.set(value.ref, known);
        if (known) await this.collection(value).insertOne(documentOf(account.user, undefined, value));
      }
    }
  }

  // Most accounts are a user's; none of those that are new, for users are read now and then only.
  async claim(account) {
    if (!this.run.chance.odds(0.8)) return;
    account.user = `auth0|${account.did.slice(-8)}`;
    await this.db.collection('users').insertOne({ _id: account.user, atproto: { did: account.did } });
  }

  // Once refkey has nothing left to do here.
  settled() {
    const done = async () => (await status(this.run.refkey)).mongo.pending === 0;
    return until(done, { every: 20, what: 'nothing pending in MongoDB' });
  }

  async close() {
    await this.db.dropDatabase();
    await this.client.close();
  }

  // A line for each thing that is wrong.
  async check() {
    await this.settled();
    const found = new Map();
    for (const name of ['moods', 'paintings']) {
      for (const document of await this.db.collection(name).find().toArray()) found.set(`${document._id}`, document);
    }
    const wrong = [];
    for (const account of this.run.accounts.values()) {
      for (const [path, { value }] of account.records) if (ours(path)) this.#live(account, path, value, found, wrong);
      for (const { ref, $type } of account.gone) this.#gone(account, ref, $type, found, wrong);
    }
    for (const ref of found.keys()) wrong.push(`a document of nothing true: ${JSON.stringify(found.get(ref))}`);
    return wrong;
  }

  #live(account, path, value, found, wrong) {
    const document = found.get(value.ref);
    found.delete(value.ref);
    const expected = account.user && this.first.get(value.ref) !== false ? documentOf(account.user, path, value) : undefined;
    if (!same(document, expected)) wrong.push(`${account.did}/${path}: the document is ${show(document)}, not ${show(expected)}`);
  }

  #gone(account, ref, $type, found, wrong) {
    const document = found.get(ref);
    found.delete(ref);
    const marked = document && document[$type === MOOD ? 'deleted' : 'nuked'] === true && !document.atproto?.rkey;
    const was = this.first.get(ref); // true: it had one
    const right = was === true ? marked : was === false || !account.user ? !document : !document || marked;
    if (!right) wrong.push(`${account.did}: the document of ${ref}, which is gone, is ${show(document)}`);
  }
}

const show = (document) => JSON.stringify(document) ?? 'absent';
const sorted = (document) => document && JSON.stringify(Object.entries(document).sort(([a], [b]) => (a < b ? -1 : 1)));
const same = (a, b) => sorted(a) === sorted(b);
