// The mutants: a patch each, beside this file. Its head says which rule of refkey
// the change breaks and which tests must notice:
//
//   Rule: Signatures are low-S only.
//   Caught by: unit atproto/key       a suite of meson's and a test in it
//   Caught by: e2e frames: dropped    a folder of tests, a file in it, and which of its cases
//
// One change in one file. Line numbers mean nothing: the lines that are taken away,
// with those around them where that takes any, must be in the file exactly once.

import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../runner/jobs.mjs';

const folder = 'tests/mutants';

// { name, rule, tests: [{ suite, name, cases? }], file, from, to }, or an error with the reason.
export function parse(name, text) {
  const [head, ...rest] = text.split(/^--- /m);
  const rule = /^Rule: (.+)$/m.exec(head)?.[1];
  const tests = [...head.matchAll(/^Caught by: (\S+) ([^\s:]+)(?:: (.+))?$/gm)].map(([, suite, test, cases]) => ({ suite, name: test, cases }));
  const [, file, hunk] = /^a\/(\S+)\n\+\+\+ b\/\1\n@@ [^\n]* @@\n([^]*)$/.exec(rest[0] ?? '') ?? [];
  if (!rule || tests.length === 0) throw new Error(`${name}: no "Rule: …" or no "Caught by: …"`);
  if (rest.length !== 1 || !hunk || /^@@/m.test(hunk)) throw new Error(`${name}: not one change of one file`);
  const lines = hunk.replace(/\n$/, '').split('\n');
  const side = (mark) => lines.filter((line) => line[0] !== mark).map((line) => `${line.slice(1)}\n`).join('');
  return { name, rule, tests, file, from: side('+'), to: side('-') };
}

// The file's text with the change made.
export function apply({ name, file, from, to }, text) {
  const places = [];
  for (let at = 0; at < text.length; at = text.indexOf('\n', at) + 1 || text.length) if (text.startsWith(from, at)) places.push(at);
  const [at] = places;
  if (places.length !== 1) throw new Error(`${name}: what it changes is ${at === undefined ? 'not' : `${places.length} times`} in ${file}`);
  return text.slice(0, at) + to + text.slice(at + from.length);
}

// Whether a file has cases of such names: in its text, or as `so ${far}` from the beginning.
function hasCases(text, cases) {
  const heads = [...text.matchAll(/\b(?:it|describe)\(\s*`([^`$]{6,})\$\{/g)].map((m) => m[1]);
  return text.includes(cases) || heads.some((head) => cases.startsWith(head));
}

// Whether there is such a test.
export function isThere({ suite, name, cases = '' }) {
  if (suite !== 'unit' && suite !== 'interop') {
    const file = path.join(root, 'tests', suite, `${name}.test.mjs`);
    return existsSync(file) && hasCases(readFileSync(file, 'utf8'), cases);
  }
  const [part, file] = name.split('/');
  const test = `tests/unit/${part}/test_${file}${suite === 'interop' ? '_interop' : ''}.c`;
  return existsSync(path.join(root, test));
}

function read(file) {
  const mutant = parse(path.basename(file, '.patch'), readFileSync(path.join(root, file), 'utf8'));
  if (!existsSync(path.join(root, mutant.file))) throw new Error(`${mutant.name}: there is no ${mutant.file}`);
  apply(mutant, readFileSync(path.join(root, mutant.file), 'utf8'));
  const absent = mutant.tests.find((test) => !isThere(test));
  if (absent) throw new Error(`${mutant.name}: there is no test ${absent.suite} ${absent.name}${absent.cases ? `: ${absent.cases}` : ''}`);
  return mutant;
}

// All of them; throws, with all reasons, if any is wrong or no longer applies.
export function load() {
  const mutants = [];
  const wrong = [];
  for (const file of globSync(`${folder}/*.patch`, { cwd: root }).toSorted()) {
    try {
      mutants.push(read(file));
    } catch (e) {
      wrong.push(e.message);
    }
  }
  if (wrong.length) throw new Error(wrong.join('\n'));
  return mutants;
}
