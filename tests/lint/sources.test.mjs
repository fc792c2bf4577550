// What holds for every file of the tree.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endingIn, files, matches, scripts, text, tool } from './tree.mjs';

const binary = (file) => /\.(png|jpg|car|frame)$/.test(file);
const readable = files.filter((file) => !binary(file));
const code = [...endingIn('.c', '.h', '.mjs', '.go'), ...scripts];
// These tests name what others may not.
const others = (list) => list.filter((file) => !file.startsWith('tests/lint/'));

describe('sources', () => {
  it('no file of code is longer than 600 lines', () => {
    const lines = code.map((file) => [file, text(file).split('\n').length - 1]);
    assert.deepEqual(lines.filter(([, count]) => count > 600), []);
  });
  it('TODO names what would have to be true to do it', () => {
    const open = matches(others(code), /\b(TODO|FIXME|XXX)\b/, { but: (line) => /\bTODO: \S+( \S+){3,}/.test(line) });
    assert.deepEqual(open, []);
  });
  it('no path of one machine', () => {
    assert.deepEqual(matches(others(readable), /(^|[\s"'`(=:])\/(work|root|home)\//), []);
  });
  it('no host of a package registry', () => {
    const hosts = /registry\.npmjs|npmjs\.(com|org)|pypi\.org|pythonhosted\.org|(proxy|sum)\.golang\.org|(deb|ftp)\.debian\.org/;
    assert.deepEqual(matches(others(readable), hosts), []);
  });
  it('lock files are without download addresses', () => {
    const lock = JSON.parse(text('tests/kit/package-lock.json'));
    assert.deepEqual(Object.values(lock.packages).filter((p) => p.resolved).map((p) => p.resolved), []);
  });
  it('lines end in LF, without blanks before it, and the last one ends', () => {
    const wrong = readable.filter((file) => {
      const all = text(file);
      return all !== '' && (!all.endsWith('\n') || /[ \t\r]\n/.test(all));
    });
    assert.deepEqual(wrong, []);
  });
  it('C is indented with tabs, scripts of JavaScript with blanks', () => {
    assert.deepEqual(matches(endingIn('.c', '.h'), /^ +[^ *]/), []);
    assert.deepEqual(matches(endingIn('.mjs', '.json', 'meson.build'), /^\t/), []);
  });
  it('C, scripts and JavaScript begin with what they hold', () => {
    const bare = code.filter((file) => {
      const [first, second = ''] = text(file).split('\n', 2);
      return !/^(\/\*|\/\/|# )/.test(first.startsWith('#!') ? second : first);
    });
    assert.deepEqual(bare, []);
  });
});

describe('scripts', () => {
  for (const file of scripts) {
    it(`${file} is good sh`, async () => {
      assert.deepEqual(await tool('sh', ['-n', file]), { code: 0, output: '' });
      assert.deepEqual(await tool('shellcheck', ['-S', 'warning', '-x', '-P', 'SCRIPTDIR', file]), { code: 0, output: '' });
    });
  }
  it('JavaScript parses', async () => {
    for (const file of endingIn('.mjs')) {
      assert.deepEqual(await tool(process.execPath, ['--check', file]), { code: 0, output: '' }, file);
    }
  });
});
