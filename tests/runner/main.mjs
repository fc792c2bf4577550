// `make test`: runs the jobs, counts single cases, and ends with one line:
// 412 passed, 0 failed, 3 skipped. What failed is said at once in short, and
// at the end with its output; what was skipped with its reason. A job that crashes, runs out of time or says
// nothing is a failure of its own.

import { allJobs, cores } from './jobs.mjs';
import { runJob } from './run.mjs';

const wanted = process.argv.slice(2);
const linesAtOnce = 40; // of what a failure says, before all of it at the end: that may be cut off
const say = (line = '') => process.stdout.write(`${line}\n`);

// Those asked for by the beginning of their names, and what they need.
function pick(jobs) {
  if (wanted.length === 0) return jobs;
  const named = new Set(jobs.filter((job) => wanted.some((w) => job.name.startsWith(w))).map((job) => job.name));
  for (const job of jobs) if (named.has(job.name) && job.after) named.add(job.after);
  return jobs.filter((job) => named.has(job.name));
}

function report(job, cases, ms) {
  const count = (fn) => cases.filter(fn).length;
  const failed = count((c) => c.error !== undefined);
  const skipped = count((c) => c.skipped !== undefined);
  const words = [`${cases.length - failed - skipped} passed`];
  if (failed) words.push(`${failed} failed`);
  if (skipped) words.push(`${skipped} skipped`);
  say(`${failed ? 'FAIL' : 'ok  '} ${job.name.padEnd(24)} ${words.join(', ').padEnd(34)} ${(ms / 1000).toFixed(1)} s`);
  for (const { name, error } of cases.filter((c) => c.error !== undefined)) {
    say(`     ${name}`);
    for (const line of error.split('\n').slice(0, linesAtOnce)) say(`       ${line}`);
  }
}

// Runs all of them, at most `cores` beside each other; a wide one alone.
async function runAll(jobs) {
  const waiting = [...jobs];
  const done = new Map(); // name → cases
  const running = new Set();
  let wide = false;
  const missing = (job) => job.after && !done.has(job.after) && jobs.some((j) => j.name === job.after);

  while (waiting.length || running.size) {
    const at = waiting.findIndex((job) => !missing(job) && (!job.wide || running.size === 0));
    if (at >= 0 && !wide && running.size < cores) {
      const [job] = waiting.splice(at, 1);
      wide = Boolean(job.wide);
      const started = performance.now();
      const broken = job.after && done.get(job.after)?.some((c) => c.error !== undefined);
      const run = broken
        ? Promise.resolve([{ name: job.name, error: `not run: ${job.after} failed` }])
        : runJob(job);
      const end = run.then((cases) => {
        done.set(job.name, cases);
        report(job, cases, performance.now() - started);
        running.delete(end);
        wide &&= !job.wide;
      });
      running.add(end);
    } else {
      await Promise.race(running);
    }
  }
  return jobs.flatMap((job) => done.get(job.name).map((c) => ({ ...c, name: `${job.name}: ${c.name}` })));
}

// So that 'exit' is heard, where jobs that still run are ended.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

const started = performance.now();
const jobs = pick(allJobs());
const cases = await runAll(jobs);
const failed = cases.filter((c) => c.error !== undefined);
const skipped = cases.filter((c) => c.skipped !== undefined);
const passed = cases.length - failed.length - skipped.length;

say(`in ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
for (const { name, skipped: reason } of skipped) say(`skipped: ${name}: ${reason}`);
for (const { name, error } of failed) say(`\nfailed: ${name}\n${error.trimEnd().replace(/^/gm, '    ')}`);
if (cases.length === 0) say(`\nnothing ran: no job is named ${wanted.join(' or ')}`);
say();
say(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
process.exitCode = failed.length > 0 || passed === 0 ? 1 : 0;
