// The mutants that `make mutants` tries: they must still fit the sources.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apply, isThere, load, parse } from '../mutants/patches.mjs';

const patch = 'Rule: a\nCaught by: unit x/y\n--- a/f.c\n+++ b/f.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n';

describe('mutants', () => {
  it('each applies in one place, says its rule, and names tests that are there', () => {
    assert.ok(load().length >= 15);
  });
  it('a test that is named is there, and its case in its file', () => {
    const test = { suite: 'e2e', name: 'repair-plan' };
    assert.ok(isThere({ ...test, cases: 'refuses all of it where another document came' }));
    assert.ok(!isThere({ ...test, cases: 'what another file has' }));
    assert.ok(!isThere({ suite: 'e2e', name: 'no-such-file' }));
    assert.ok(!isThere({ suite: 'unit', name: 'mirror/no_such_test' }));
  });
  it('one changes its line wherever that has moved', () => {
    assert.equal(apply(parse('m', patch), 'zero\none\ntwo\nthree\n'), 'zero\none\n2\nthree\n');
  });
  it('one whose line is gone, or there twice, is refused', () => {
    assert.throws(() => apply(parse('m', patch), 'one\ntwo\nfour\n'), /not in f\.c/);
    assert.throws(() => apply(parse('m', patch), 'one\ntwo\nthree\none\ntwo\nthree\n'), /2 times in f\.c/);
  });
  it('one without rule or test, or of more than one change, is refused', () => {
    assert.throws(() => parse('m', patch.replace('Rule: a\n', '')), /no "Rule/);
    assert.throws(() => parse('m', patch.replace(/Caught.*\n/, '')), /Caught by/);
    assert.throws(() => parse('m', `${patch}@@ -9 +9 @@\n-x\n+y\n`), /not one change/);
  });
});
