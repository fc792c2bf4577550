// What the tests of the recovery table write on both sides: things of either kind, as record and as
// document.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  MOOD,
  PAINTING,
  moodDocument,
  moodRecord,
  objectId,
  paintingDocument,
  paintingRecord,
} from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { collections, parts, soon } from './scene.mjs';

let serial = 0;

// thing(person): one that both sides can be made of, { _id, user, when, … }.
export const kinds = {
  [MOOD]: {
    gone: 'deleted',
    thing: (p, more) => ({ _id: objectId(), user: p.user, when: new Date(), mood: `mood ${++serial}`, ...more }),
    document: moodDocument,
    record: moodRecord,
    change: (thing) => ({ ...thing, mood: `${thing.mood}, changed` }),
  },
  [PAINTING]: {
    gone: 'nuked',
    thing: (p, more) => ({
      _id: objectId(),
      user: p.user,
      when: new Date(),
      code: `c${++serial}`,
      slug: `s.${serial}`,
      ...more,
    }),
    document: paintingDocument,
    record: paintingRecord,
    change: (thing) => ({ ...thing, slug: `${thing.slug}:changed` }),
  },
};

// The document that refkey makes of a record of the thing.
export const inserted = (collection, thing, rkey) => kinds[collection].document({ ...thing, rkey });

// A case for each kind of record.
export function both(name, run) {
  for (const collection of collections) {
    it(`${name} (${collection.split('.').at(-1)})`, () => run(collection, kinds[collection]));
  }
}

// Writing and reading things on the scene's two sides.
export class Rows {
  constructor(scene, refkey) {
    this.scene = scene;
    this.refkey = refkey;
  }

  publish(p, collection, thing, rkey) {
    return this.scene.pds.createRecord(p, collection, kinds[collection].record({ ...thing, ref: thing._id }), rkey);
  }

  republish(p, collection, thing, rkey) {
    return this.scene.pds.putRecord(p, collection, rkey, kinds[collection].record({ ...thing, ref: thing._id }));
  }

  remove(p, { uri, rkey }) {
    return this.scene.pds.deleteRecord(p, parts(uri).collection, rkey);
  }

  find(collection, _id) {
    return this.scene.documents(collection).findOne({ _id });
  }

  async insert(collection, thing, more = {}) {
    const document = { ...kinds[collection].document(thing), ...more };
    await this.scene.documents(collection).insertOne(document);
    return document;
  }

  async byRef(thing) {
    return (await this.refkey.xrpc('getByRef', { ref: String(thing._id) })).body;
  }

  untilDocument(collection, _id, fits, what) {
    return until(
      async () => {
        const document = await this.find(collection, _id);
        assert.ok(document && fits(document), JSON.stringify(document));
        return document;
      },
      { what, ...soon },
    );
  }

  // What an emptied `atproto` may leave behind: an object without rkey, or nothing.
  async leftOver(collection, thing) {
    const { atproto } = await this.find(collection, thing._id);
    assert.equal(atproto?.rkey, undefined);
    return atproto ? { atproto } : {};
  }
}
