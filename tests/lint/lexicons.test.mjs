// The lexicons are lexicons, and each is where its name says. That they agree
// with the tables is tests/unit/xrpc/test_lexicons.c's.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lexicons, parseLexiconDoc } from '@atproto/lexicon';
import { files, text } from './tree.mjs';

const list = files.filter((file) => /^lexicons\/.*\.json$/.test(file));
const docs = list.map((file) => JSON.parse(text(file)));
const ids = new Set(docs.map((doc) => doc.id));

// Each value of a key anywhere below.
function* each(value, key) {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === key && typeof inner === 'string') yield inner;
    yield* each(inner, key);
  }
}

describe('lexicons', () => {
  it('are there, and all of them are built in', () => {
    assert.ok(list.length > 0);
    const built = [...text('lexicons/meson.build').matchAll(/^ {2}'(.+)',$/gm)].map((m) => `lexicons/${m[1]}`);
    assert.deepEqual(built, list);
  });
  for (const [i, file] of list.entries()) {
    it(`${file} is a lexicon of its name`, () => {
      parseLexiconDoc(docs[i]);
      assert.equal(file, `lexicons/${docs[i].id.replaceAll('.', '/')}.json`);
    });
    it(`${file} refers to what there is`, () => {
      const lexicons = new Lexicons(structuredClone(docs)); // it rewrites what it gets
      for (const ref of each(docs[i], 'ref')) {
        const uri = ref.startsWith('#') ? `${docs[i].id}${ref}` : ref;
        assert.ok(ids.has(uri.split('#')[0]), ref);
        lexicons.getDefOrThrow(uri);
      }
    });
    it(`${file} keeps its unions and enums open`, () => {
      assert.doesNotMatch(text(file), /"(enum|closed)":/);
    });
  }
  it('arrays hold objects', () => {
    for (const doc of docs) {
      const outputs = Object.values(doc.defs).flatMap((def) => [def.output?.schema, def.type === 'object' ? def : undefined]);
      for (const schema of outputs.filter(Boolean)) {
        for (const property of Object.values(schema.properties ?? {})) {
          if (property.type === 'array') assert.equal(property.items.type, 'ref', doc.id);
        }
      }
    }
  });
});
