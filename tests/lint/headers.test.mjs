// Every header stands alone, for both compilers.

import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { endingIn, root, text, tool } from './tree.mjs';

const headers = endingIn('.h');
const folders = [...new Set(headers.map((file) => path.dirname(file)))];

// How meson compiles the sources of a folder, without what names input and output.
const commands = JSON.parse(text('build/compile_commands.json')).map(({ file, command }) => ({
  folder: path.dirname(path.normalize(path.join('build', file))),
  args: [...command.split(' -MD ')[0].matchAll(/'([^']*)'|\S+/g)].map((m) => m[1] ?? m[0]).slice(1),
}));

function argumentsFor(folder) {
  const near = commands.find((c) => c.folder === folder) ?? commands.find((c) => c.folder.startsWith(`${folder}/`));
  assert.ok(near, `nothing in ${folder} is compiled`);
  return [...near.args, '-fsyntax-only', '-x', 'c', '-'];
}

describe('headers', () => {
  for (const compiler of ['gcc', 'clang']) {
    for (const folder of folders) {
      it(`of ${folder} compile alone with ${compiler}`, async () => {
        const args = argumentsFor(folder);
        const own = headers.filter((file) => path.dirname(file) === folder);
        const wrong = await Promise.all(
          own.map(async (file) => {
            const input = `#include "${file}"\n#include "${file}"\n`;
            const { code, output } = await tool(compiler, args, { input, cwd: path.join(root, 'build') });
            return code === 0 ? [] : `${file}: ${output}`;
          }),
        );
        assert.deepEqual(wrong.flat(), []);
      });
    }
  }
});
