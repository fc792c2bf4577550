// `make mutants`: breaks one rule at a time in a copy of the sources and shows which
// of the tests that its patch names notices. On the copy as it is those tests must pass.
// Names pick mutants. Ends with 1 if one survives or cannot be judged.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { committed, root } from '../lint/tree.mjs';
import { cores, nodeCommand } from '../runner/jobs.mjs';
import { runJob } from '../runner/run.mjs';
import { apply, load } from './patches.mjs';

const place = 'build-mutants';
const tree = path.join(root, place, 'tree');
const build = path.join(root, place, 'build');
const say = (line) => process.stdout.write(`${line}\n`);

// Only what differs is written, so that little is compiled again.
function copy() {
  for (const file of committed) {
    const bytes = readFileSync(path.join(root, file));
    const to = path.join(tree, file);
    if (existsSync(to) && readFileSync(to).equals(bytes)) continue;
    mkdirSync(path.dirname(to), { recursive: true });
    writeFileSync(to, bytes);
  }
}

function ninja(targets) {
  try {
    execFileSync('ninja', ['-C', build, '-j', process.env.JOBS ?? `${cores}`, ...targets], { stdio: 'pipe', encoding: 'utf8' });
  } catch (e) {
    throw new Error(`it does not build:\n${e.stdout.split('\n').slice(-30).join('\n')}`, { cause: e });
  }
}

function configure() {
  if (existsSync(path.join(build, 'build.ninja'))) {
    ninja(['build.ninja']); // meson again, where a meson.build changed
    return;
  }
  // What a mutant leaves unused is not the point.
  const options = ['-Dtests=enabled', '-Dwerror=false', '--buildtype=debugoptimized'];
  rmSync(build, { recursive: true, force: true });
  execFileSync('meson', ['setup', ...options, build, tree], { stdio: 'pipe', env: { ...process.env, CC: 'gcc' } });
}

// The program of a test of meson's, as ninja names it; all others drive refkey.
let programs;
function target({ suite, name }) {
  if (suite !== 'unit' && suite !== 'interop') return 'refkey';
  programs ??= JSON.parse(execFileSync('meson', ['introspect', '--tests', build], { encoding: 'utf8', maxBuffer: 1 << 28 }));
  const test = programs.find((t) => t.name === name && t.suite.some((s) => s.endsWith(`:${suite}`) || s === suite));
  if (!test) throw new Error(`meson has no test ${suite} ${name}`);
  return path.relative(build, test.cmd[0]);
}

const vectors = process.env.REFKEY_TEST_VECTORS ?? path.resolve(root, '../shared/vectors');

// The cases of one test on the copy.
function run({ suite, name, cases }) {
  if (suite !== 'unit' && suite !== 'interop') {
    const file = `tests/${suite}/${name}.test.mjs`;
    const command = nodeCommand(file);
    if (cases) command.splice(-1, 0, `--test-name-pattern=${cases}`);
    return runJob({ kind: 'node', file, command, env: { REFKEY_BIN: path.join(build, 'refkey') }, minutes: 6 });
  }
  return runJob({
    kind: 'meson',
    log: `${place}/build/meson-logs/mutants.json`,
    command: ['meson', 'test', '-C', build, '--no-rebuild', '--logbase', 'mutants', '--suite', suite, name],
    env: { REFKEY_TEST_VECTORS: vectors },
    minutes: 3,
  });
}

const firstFailure = (cases) => cases.find((c) => c.error !== undefined);

const key = (test) => JSON.stringify(test);

// Why tests fail on the copy as it is: those can show nothing. By test.
async function brokenBefore(mutants) {
  const tests = new Map(mutants.flatMap((m) => m.tests).map((test) => [key(test), test]));
  const broken = new Map();
  ninja([...new Set([...tests.values()].map(target))]);
  for (const [name, test] of tests) {
    const failure = firstFailure(await run(test));
    if (failure) broken.set(name, `${test.suite} ${test.name} fails without it: ${failure.name}\n${failure.error}`);
  }
  return broken;
}

// The first case that notices; undefined if none does.
async function noticed(mutant) {
  for (const test of mutant.tests) {
    const failure = firstFailure(await run(test));
    if (failure) return `${test.suite} ${test.name}: ${failure.name.replace(/^.*?unit \/ |^.*?interop \/ /, '').replace(`${test.name}: `, '')}`;
  }
  return undefined;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

const wanted = process.argv.slice(2);
const mutants = load().filter((m) => wanted.length === 0 || wanted.includes(m.name));
if (mutants.length === 0) throw new Error(`no mutant is named ${wanted.join(' or ')}`);
copy();
configure();
const broken = await brokenBefore(mutants);
let survived = 0;
for (const mutant of mutants) {
  const why = mutant.tests.map((test) => broken.get(key(test))).find(Boolean);
  if (why) {
    survived++;
    say(`${mutant.name.padEnd(32)} NOT JUDGED   ${why}`);
    continue;
  }
  const file = path.join(tree, mutant.file);
  const sound = readFileSync(file, 'utf8');
  let by;
  try {
    writeFileSync(file, apply(mutant, sound));
    ninja([...new Set(mutant.tests.map(target))]);
    by = await noticed(mutant);
  } finally {
    writeFileSync(file, sound);
  }
  survived += by === undefined;
  say(`${mutant.name.padEnd(32)} ${by === undefined ? `SURVIVED   ${mutant.rule}` : `caught by ${by}`}`);
}
say(`\n${mutants.length - survived} of ${mutants.length} caught`);
process.exitCode = survived ? 1 : 0;
