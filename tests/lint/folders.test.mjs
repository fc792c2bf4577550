// Which folder may include which, and where libraries of others may appear.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { endingIn, files, folderOf, matches, root, text } from './tree.mjs';

// The arrows: a folder may include itself and these.
const arrows = {
  base: [],
  atproto: ['base'],
  net: ['base'],
  records: ['base', 'atproto'],
  store: ['base', 'atproto', 'records'],
  indexer: ['base', 'atproto', 'net', 'records', 'store'],
  image: ['base', 'net'],
  mongo: ['base', 'atproto', 'records'],
  account: ['base', 'atproto', 'net', 'store', 'mongo'],
  mirror: ['base', 'atproto', 'records', 'store', 'mongo'],
  publish: ['base', 'atproto', 'image', 'net', 'records', 'store', 'mongo', 'account', 'mirror'],
  audit: ['base', 'atproto', 'net', 'records', 'store', 'mongo', 'mirror'],
  repair: ['base', 'atproto', 'records', 'store', 'mongo', 'account', 'mirror', 'publish', 'audit'],
  xrpc: ['base', 'atproto', 'records', 'store'],
  cli: ['base', 'atproto', 'net', 'records', 'store', 'indexer', 'mongo', 'account', 'mirror', 'publish', 'audit', 'repair', 'xrpc'],
};

// Headers of a library, and the folders that may include them.
const libraries = [
  ['lmdb', /^lmdb\.h$/, ['store']],
  ['libcurl', /^curl\//, ['net']],
  ['wslay', /^wslay\//, ['net']],
  ['h2o', /^h2o(\.h$|\/)/, ['xrpc']],
  ['mongo-c-driver', /^mongoc(\.h$|\/)/, ['mongo']],
  // What documents are made of.
  ['libbson', /^bson(\.h$|\/)/, ['mongo', 'mirror', 'publish', 'repair']],
  ['libsecp256k1', /^secp256k1/, ['atproto']],
  // net: the SHA-1 of a WebSocket's handshake.
  ['OpenSSL', /^openssl\//, ['atproto', 'net']],
  ['jansson', /^jansson\.h$/, Object.keys(arrows).filter((folder) => folder !== 'base')],
  ['libvips', /^vips\//, ['image']],
  ['cmocka', /^cmocka\.h$/, []],
];

const sources = endingIn('.c', '.h').filter((file) => folderOf(file) in arrows);
const includes = (file, pattern) => [...text(file).matchAll(pattern)].map((m) => m[1]);
const quoted = (file) => includes(file, /^#\s*include "([^"]+)"/gm);
const angled = (file) => includes(file, /^#\s*include <([^>]+)>/gm);

describe('folders', () => {
  it('every folder with C in it has its arrows', () => {
    const with_c = endingIn('.c', '.h').map(folderOf).filter((folder) => folder !== 'tests');
    assert.deepEqual([...new Set(with_c)].toSorted(), Object.keys(arrows).toSorted());
  });
  for (const [folder, may] of Object.entries(arrows)) {
    it(`${folder} includes only ${[folder, ...may].join(', ')}`, () => {
      const wrong = sources
        .filter((file) => folderOf(file) === folder)
        .flatMap((file) => quoted(file).map((name) => [file, name]))
        .filter(([, name]) => ![folder, ...may].includes(folderOf(name)))
        .map(([file, name]) => `${file} includes ${name}`);
      assert.deepEqual(wrong, []);
    });
  }
  for (const [library, pattern, may] of libraries) {
    it(`${library} is included only in ${may.join(', ') || 'tests'}`, () => {
      const wrong = sources
        .filter((file) => !may.includes(folderOf(file)))
        .flatMap((file) => angled(file).filter((name) => pattern.test(name)).map((name) => `${file} includes ${name}`));
      assert.deepEqual(wrong, []);
    });
  }
  it('includes name files by their whole path', () => {
    const wrong = sources.flatMap((file) =>
      quoted(file).filter((name) => !existsSync(path.join(root, name))).map((name) => `${file} includes ${name}`),
    );
    assert.deepEqual(wrong, []);
  });
  it('headers are guarded by their path', () => {
    const wrong = sources
      .filter((file) => file.endsWith('.h'))
      .filter((file) => {
        const guard = `RK_${file.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;
        return !text(file).includes(`#ifndef ${guard}\n#define ${guard}\n`);
      });
    assert.deepEqual(wrong, []);
  });
  it('atproto has no socket, file, clock, thread or random number', () => {
    const calls = /\b(socket|connect|f?open|fopen|time|gettimeofday|clock_gettime|pthread_\w+|getrandom|rk_clock_\w+|rk_log)\s*\(/;
    const atproto = sources.filter((file) => folderOf(file) === 'atproto');
    assert.deepEqual(matches(atproto, calls, { but: (line) => /^\s*(\/?\*|\/\/)/.test(line) }), []);
  });
  it('every source of a folder is built', () => {
    const wrong = sources
      .filter((file) => file.endsWith('.c'))
      .filter((file) => !text(`${path.dirname(file)}/meson.build`).includes(`'${path.basename(file)}'`));
    assert.deepEqual(wrong, []);
  });
  it('every test of a folder is built', () => {
    const wrong = files
      .filter((file) => /^tests\/(unit|service)\/\w+\/test_\w+\.c$/.test(file))
      .filter((file) => {
        const name = path.basename(file, '.c').replace(/^test_/, '');
        const short = name.replace(/_(interop|service)$/, '');
        return !text(`${path.dirname(file)}/meson.build`).match(`'(test_)?(${name}|${short})(\\.c)?'`);
      });
    assert.deepEqual(wrong, []);
  });
});
