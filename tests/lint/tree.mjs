// What lint tests look at: the files that belong to the tree (committed or about
// to be), and running a tool on them.

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../runner/jobs.mjs';

export { root };

export const committed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 1 << 28,
})
  .split('\0')
  .filter((file) => file && existsSync(path.join(root, file)));

// Made by others or by machines: not ours to lint.
const foreign = /^tests\/(fixtures|data|fuzz\/corpus)\/|(^|\/)package-lock\.json$|(^|\/)go\.sum$/;

export const files = committed.filter((file) => !foreign.test(file)).toSorted();
export const text = (file) => readFileSync(path.join(root, file), 'utf8');
export const endingIn = (...ends) => files.filter((file) => ends.some((end) => file.endsWith(end)));
export const folderOf = (file) => file.split('/')[0];

// Shell scripts: all of scripts/ and what else begins as one.
export const scripts = files.filter((file) => /^#!\/bin\/(ba)?sh/.test(text(file).slice(0, 20)) || file === 'scripts/lib.sh');

// { code, output } of a tool.
export function tool(program, args, { input, cwd = root } = {}) {
  return new Promise((resolve) => {
    const child = execFile(program, args, { cwd, maxBuffer: 1 << 28 }, (e, stdout, stderr) => {
      resolve({ code: e ? (e.code ?? 1) : 0, output: `${stdout}${stderr}`.trim() });
    });
    child.stdin?.on('error', () => {}); // it may end before it reads
    child.stdin?.end(input ?? '');
  });
}

// Each line that matches, as "file:line: what".
export function matches(list, pattern, { but = () => false } = {}) {
  return list.flatMap((file) =>
    text(file)
      .split('\n')
      .map((line, i) => ({ line, at: `${file}:${i + 1}` }))
      .filter(({ line }) => pattern.test(line) && !but(line))
      .map(({ line, at }) => `${at}: ${line.trim().slice(0, 120)}`),
  );
}
