// .clang-format, file by file; scripts/format makes it so.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endingIn, tool } from './tree.mjs';

describe('format', () => {
  it('C is as clang-format has it', async () => {
    const list = endingIn('.c', '.h');
    const found = await Promise.all(
      list.map(async (file) => ((await tool('clang-format', ['--dry-run', '-Werror', file])).code ? file : [])),
    );
    const wrong = found.flat();
    assert.deepEqual(wrong, [], 'scripts/format mends it');
  });
});
