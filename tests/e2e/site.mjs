// The site as it posts moods for a dual write: to MongoDB only. What becomes of them is waited for.

import assert from 'node:assert/strict';
import { MOOD, moodDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { soon } from './scene.mjs';

let count = 0;

export class Site {
  constructor(scene) {
    this.scene = scene;
  }

  // As a function of the site posts it: MongoDB only.
  async post(person, more = {}) {
    const d = moodDocument({ user: person.user, mood: `mood ${count++} 🌱`, ...more });
    if (!d.user) delete d.user;
    await this.scene.mongo.moods.insertOne(d);
    return d;
  }
  posts(person, n, more) {
    return Promise.all(Array.from({ length: n }, () => this.post(person, more)));
  }
  find(d) {
    return this.scene.mongo.moods.findOne({ _id: d._id });
  }
  set(d, update) {
    return this.scene.mongo.moods.updateOne({ _id: d._id }, update);
  }
  records(person) {
    return this.scene.pds.listRecordsAll(person.did, MOOD);
  }

  // Whether nothing of them is left to be published or withdrawn.
  async done(people) {
    const documents = await this.scene.mongo.moods.find({ user: { $in: people.map((p) => p.user) } }).toArray();
    return documents.every((d) => !d.deleted === !!d.atproto?.rkey);
  }

  // The one record of a document, once it names it.
  published(person, d) {
    return until(
      async () => {
        const now = await this.find(d);
        const theirs = (await this.records(person)).filter((r) => r.value.ref === String(d._id));
        assert.ok(theirs.length <= 1, 'a ref is there twice');
        assert.equal(theirs.length, 1, 'no record yet');
        assert.equal(now.atproto?.rkey, theirs[0].uri.split('/').pop());
        return theirs[0];
      },
      { what: `${d.mood} is published`, ...soon },
    );
  }

  // No record with its ref, and no key.
  withdrawn(person, d) {
    return until(
      async () => {
        const theirs = (await this.records(person)).filter((r) => r.value.ref === String(d._id));
        const now = await this.find(d);
        assert.deepEqual([theirs.length, now.atproto?.rkey], [0, undefined]);
        return now;
      },
      { what: `${d.mood} is withdrawn`, ...soon },
    );
  }
}

// FerretDB: the statements of all updates at a time must be fewer than 100, the mirror's among them.
export const smallBatches = (scene) => (scene.mongo.kind === 'ferretdb' ? { REFKEY_MONGO_BATCH: '40' } : {});
