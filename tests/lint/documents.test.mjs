// What documents say of tables is what the tables say.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { envExample } from '../docker/env-example.mjs';
import { endingIn, folderOf, files, root, text, tool } from './tree.mjs';

const { output: reference } = await tool('build/refkey', ['reference', 'markdown']);
const blocks = (markdown) =>
  [...markdown.matchAll(/<!-- reference: (\w+) -->\n[^]*?<!-- end of reference -->/g)].map(([all, name]) => [name, all]);
const column = (name) =>
  [...new Map(blocks(reference)).get(name).matchAll(/^\| `([^`]+)`/gm)].map((m) => m[1]);

// The names of an X-macro's rows, as the file has them.
const names = (file, macro) => {
  const [, rows] = new RegExp(`#define ${macro}\\(X\\)((?:.*\\\\\\n)*.*\\n)`).exec(text(file));
  return [...rows.matchAll(/X\(\w+, (?:\w+, )?"([^"]+)"/g)].map((m) => m[1]);
};
const lacks = (file, list) => list.filter((name) => !text(file).includes(`\`${name}\``));

// What documents tell people to run: each "refkey …" in blocks of shell and between backticks, up to where
// the shell or a comment goes on.
const fences = /^```sh\n([^]*?)^```$/gm;
const told = (markdown) =>
  [
    ...[...markdown.matchAll(fences)].flatMap((m) => m[1].split('\n')),
    ...[...markdown.replace(/^```[^]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map((m) => m[1]),
  ].flatMap((line) =>
    [...line.replace(/(^|\s)#.*/, '').matchAll(/(?:^|[;|(&]|docker exec (?:-\w+ )*refkey)\s*refkey ([^|;>&)]*)/g)].map((m) =>
      m[1].trim().split(/\s+/),
    ),
  );

// The cells of the table's rows that begin with the name between backticks.
const rowsOf = (name) =>
  new Map(
    new Map(blocks(reference))
      .get(name)
      .split('\n')
      .map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()))
      .filter(([, first]) => first?.startsWith('`'))
      .map(([, first, ...rest]) => [first.slice(1, -1), rest]),
  );

// GitHub's names of headings.
const anchors = (markdown) =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map((m) => m[1].toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));

describe('documents', () => {
  it('the program prints a table of settings, of commands and of methods', () => {
    assert.deepEqual(blocks(reference).map(([name]) => name), ['settings', 'commands', 'methods']);
    for (const name of ['settings', 'commands', 'methods']) assert.ok(column(name).length > 3, name);
  });
  it('README.md has the tables as the program prints them', () => {
    const mine = new Map(blocks(text('README.md')));
    for (const [name, block] of blocks(reference)) assert.equal(mine.get(name), block, name);
    assert.equal(mine.size, blocks(reference).length);
  });
  it('docker/refkey.env.example has the settings as the program prints them', () => {
    assert.equal(text('docker/refkey.env.example'), envExample(reference), 'make it anew: see tests/docker/env-example.mjs');
  });
  it('ARCHITECTURE.md names every folder', () => {
    const folders = [...new Set(files.filter((file) => file.includes('/')).map(folderOf))];
    assert.deepEqual(lacks('ARCHITECTURE.md', folders.filter((name) => !name.startsWith('.'))), []);
  });
  it('ARCHITECTURE.md says what every event makes of a repo, and of no others', () => {
    const events = [...text('indexer/state.h').matchAll(/^\tX\((\w+), /gm)].map((m) => m[1]).sort();
    assert.ok(events.length > 10);
    const [table] = /^\| event \\ state (?:.*\n)+?\n/m.exec(text('ARCHITECTURE.md'));
    const said = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap((m) => [...m[1].matchAll(/`(\w+)`/g)].map((n) => n[1]));
    assert.deepEqual(said.sort(), events);
  });
  it('docs/xrpc.md shows every method', () => {
    const shown = [...text('docs/xrpc.md').matchAll(/^## (.+)$/gm)].flatMap((m) => m[1].split(', '));
    const methods = column('methods').map((name) => name.split('.').at(-1));
    assert.deepEqual(methods.filter((name) => !shown.includes(name)), []);
  });
  it('docs/operations.md explains every kind of issue', () => {
    const kinds = names('store/types.h', 'RK_ISSUES');
    assert.ok(kinds.length >= 12);
    const explained = [...text('docs/operations.md').matchAll(/^\| `(\w+)` \|/gm)].map((m) => m[1]);
    assert.deepEqual(kinds.filter((name) => !explained.includes(name)), []);
  });
  it('commands and options that documents name are there', () => {
    const commands = new Map(
      [...rowsOf('commands')].map(([name, [, options]]) => [name.split(' ')[0], options.match(/--[a-z-]+/g) ?? []]),
    );
    const flags = [...rowsOf('settings').values()].map(([flag]) => flag.slice(1, -1));
    assert.ok(commands.get('publish').includes('--limit') && flags.includes('--data-dir'));
    const all = endingIn('.md').flatMap((file) => told(text(file)).map((words) => [file, words]));
    assert.ok(all.length > 40, `${all.length}`);
    const wrong = all
      .filter(([, [name, ...words]]) => {
        if (/^(--help|--version|help|COMMAND|…|reference)$/.test(name)) return false;
        const options = words.filter((w) => w.startsWith('--')).map((w) => w.split('=')[0]);
        return !commands.has(name) || options.some((o) => ![...commands.get(name), ...flags, '--help'].includes(o));
      })
      .map(([file, words]) => `${file}: refkey ${words.join(' ')}`);
    assert.deepEqual(wrong, []);
    // Options that stand alone are some command's.
    const known = [...new Set([...[...commands.values()].flat(), ...flags])];
    const alone = endingIn('.md').filter((file) => file.startsWith('docs/')).flatMap((file) =>
      [...text(file).matchAll(/`(--[a-z-]+)[^`]*`/g)].map((m) => m[1]).filter((o) => !known.includes(o)).map((o) => `${file}: ${o}`),
    );
    assert.deepEqual(alone, []);
  });
  it('messages that docs/operations.md explains are those of the program', () => {
    const sources = endingIn('.c')
      .filter((file) => !file.startsWith('tests/'))
      .map((file) => text(file).replace(/"\s*\n\s*"/g, '').replaceAll('\\"', '"'))
      .join('\n');
    const [, section] = /^## Messages\n([^]*?)^## /m.exec(text('docs/operations.md'));
    const messages = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap((m) => [...m[1].matchAll(/`([^`]+)`/g)].map((n) => n[1]));
    assert.ok(messages.length > 15);
    const parts = messages.flatMap((message) => message.split('…').map((part) => part.trim().replace(/:$/, '')).filter((part) => part.length > 3));
    assert.deepEqual(parts.filter((part) => !sources.includes(part)), []);
  });
  it('metrics and settings that documents name are there', () => {
    const metrics = [...names('base/metrics.h', 'RK_METRICS').map((name) => `refkey_${name}`), 'refkey_refused_total'];
    const settings = column('settings');
    const wrong = endingIn('.md').flatMap((file) => [
      ...[...text(file).matchAll(/`(refkey_\w+)[`{]/g)].map((m) => m[1]).filter((name) => !metrics.includes(name)),
      ...[...text(file).matchAll(/\b(REFKEY_[A-Z_]*[A-Z])\b/g)]
        .map((m) => m[1])
        .filter((name) => !settings.includes(name) && !/^REFKEY_(TEST_\w+|PARTS_DIR|BIN)$/.test(name)),
    ]);
    assert.deepEqual([...new Set(wrong)], []);
  });
  // With what a shell takes for its own.
  it('what docs/operations.md reads a file of settings with keeps every value', async () => {
    const lines = /^while IFS[^]*?^done < refkey\.env$/m.exec(text('docs/operations.md'))[0];
    const values = { REFKEY_MONGO_URI: 'mongodb://a:b@c/?tls=true&w=1;2=', REFKEY_ADMIN_PASSWORD: 'a $b  `c` "d"', REFKEY_MONGO_DB: ' x#y*' };
    const file = `# REFKEY_NONE=1\n\n#REFKEY_NONE=2\n${Object.entries(values).map(([name, value]) => `${name}=${value.includes('$') ? `'${value}'` : value}\n`).join('')}`;
    const folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-settings-'));
    try {
      writeFileSync(path.join(folder, 'refkey.env'), file);
      for (const shell of ['dash', 'bash']) {
        const { output } = await tool(shell, ['-c', `${lines}\nenv -0`], { cwd: folder });
        const read = output.split('\0').filter((one) => Object.keys(values).some((name) => one.startsWith(`${name}=`)) || one.startsWith('REFKEY_NONE'));
        assert.deepEqual(read.sort(), Object.entries(values).map((pair) => pair.join('=')).sort(), shell);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  it('links lead somewhere', () => {
    const wrong = endingIn('.md').flatMap((file) =>
      [...text(file).matchAll(/\]\(([^)\s]+)\)/g)]
        .map((m) => m[1])
        .filter((to) => !/^https?:/.test(to))
        .filter((to) => {
          const [name, anchor] = to.split('#');
          const target = name ? path.join(path.dirname(file), name) : file;
          return !existsSync(path.join(root, target)) || (anchor && !anchors(text(target)).includes(anchor));
        })
        .map((to) => `${file}: ${to}`),
    );
    assert.deepEqual(wrong, []);
  });
});
