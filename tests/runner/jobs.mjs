// What `make test` runs: builds, meson's tests in each of them, and every file of
// node's. A job is one row; more rows run beside each other as cores allow.

import { globSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const cores = Math.max(2, os.availableParallelism());
const half = Math.max(1, Math.floor(cores / 2));
const minute = 60_000;

// Without a trace of what was set for a run of refkey itself, or by another runner.
const foreign = /^(REFKEY_(?!TEST_|PARTS_DIR$|BIN$)|CMOCKA_|MESON_TESTTHREADS|NODE_TEST_CONTEXT)/;
export const environment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name))),
  REFKEY_TEST_SLOW: '1', // cases that take half a minute or more
};

// A report ends the program, and so fails the test.
const sanitizers = {
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
  ASAN_OPTIONS: 'halt_on_error=1:abort_on_error=1:detect_leaks=1',
  UBSAN_OPTIONS: 'halt_on_error=1:abort_on_error=1:print_stacktrace=1',
};

// wide: keeps every core busy, so nothing else runs beside it. after: the job
// that must have gone well. minutes: the bound.
function build(variant, { wide, before } = {}) {
  return {
    name: `build/${variant}`,
    kind: 'command',
    command: ['scripts/build', variant, 'all'],
    env: { JOBS: `${wide ? cores : half}` },
    wide,
    after: before,
    minutes: 15,
  };
}

function meson(name, variant, { dir, suites, wide, env, minutes }) {
  const log = `testlog-${name}`;
  return {
    name: `${name}/${variant}`,
    kind: 'meson',
    log: `${dir}/meson-logs/${log}.json`,
    // Their own bounds are for a machine that does nothing else.
    command: ['meson', 'test', '--timeout-multiplier', '10', '-C', dir, '--no-rebuild', '--logbase', log, ...suites.flatMap((s) => ['--suite', s])],
    env: { ...env, MESON_TESTTHREADS: `${wide ? cores : half}` },
    wide,
    after: `build/${variant}`,
    minutes,
  };
}

const unit = (variant, options) => meson('unit', variant, { suites: ['unit', 'interop'], minutes: 10, ...options });
const service = (variant, options) => meson('service', variant, { suites: ['service'], minutes: 10, ...options });

// How one file of tests is run.
export function nodeCommand(file) {
  return [process.execPath, '--no-warnings', '--test', '--test-reporter=./tests/runner/reporter.mjs', file];
}

function files(suite, pattern, { after, minutes, env = {} }) {
  return globSync(pattern, { cwd: root })
    .filter((file) => !file.includes('node_modules'))
    .toSorted()
    .map((file) => ({
      name: `${suite}/${path.basename(file, '.test.mjs')}`,
      kind: 'node',
      file,
      command: nodeCommand(file),
      env,
      after,
      minutes,
    }));
}

// In the order in which they begin: the quick ones that say most, then the long
// ones, so that no long one is left to run alone at the end.
export function allJobs() {
  return [
    build('gcc', { wide: true }),
    unit('gcc', { dir: 'build', wide: true }),
    ...files('lint', 'tests/lint/*.test.mjs', { after: 'build/gcc', minutes: 10 }),
    ...files('e2e', 'tests/e2e/**/*.test.mjs', { after: 'build/gcc', minutes: 12 }),
    ...files('sim', 'tests/sim/*.test.mjs', { after: 'build/gcc', minutes: 15 }),
    service('gcc', { dir: 'build' }),
    ...files('service', 'tests/service/**/*.test.mjs', { after: 'build/gcc', minutes: 12 }),
    ...files('docker', 'tests/docker/**/*.test.mjs', { after: 'build/gcc', minutes: 25 }),
    build('clang'),
    unit('clang', { dir: 'build-clang', env: sanitizers }),
    build('tsan'),
    unit('tsan', { dir: 'build-tsan', env: sanitizers }),
    ...files('tsan', 'tests/e2e/live.test.mjs', {
      after: 'build/tsan',
      minutes: 12,
      env: { ...sanitizers, REFKEY_BIN: path.join(root, 'build-tsan/refkey') },
    }),
    build('ndebug'),
    unit('ndebug', { dir: 'build-ndebug' }),
    ...files('kit', 'tests/kit/*.test.mjs', { minutes: 10 }),
    ...files('runner', 'tests/runner/*.test.mjs', { minutes: 10 }),
  ];
}
