// Runs one job within its bound and returns its cases: [{ name, error?, skipped? }].
// There is always at least one.

import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { cmockaCases } from './cmocka.mjs';
import { environment, root } from './jobs.mjs';

const keptBytes = 64 << 20;
const shownLines = 80;

// { output, errors, how }: what it printed; how it ended, undefined if well.
function run({ command, env, minutes }) {
  return new Promise((resolve) => {
    const [program, ...args] = command;
    // Its own process group, so that all of it can be ended.
    const child = spawn(program, args, {
      cwd: root,
      env: { ...environment, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const kept = { stdout: [], stderr: [] };
    let bytes = 0;
    for (const stream of ['stdout', 'stderr']) {
      child[stream].on('data', (data) => {
        bytes += data.length;
        if (bytes <= keptBytes) kept[stream].push(data);
      });
    }
    let late;
    const end = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // gone already
      }
    };
    const bound = setTimeout(() => {
      late = `not done within ${minutes} minutes`;
      end('SIGTERM');
      setTimeout(end, 10_000, 'SIGKILL').unref();
    }, minutes * 60_000);
    const stop = () => end('SIGTERM');
    process.once('exit', stop);
    const finish = (how) => {
      clearTimeout(bound);
      process.removeListener('exit', stop);
      end('SIGKILL'); // what it left behind
      const text = (stream) => Buffer.concat(kept[stream]).toString('utf8');
      resolve({ output: text('stdout'), errors: text('stderr'), how: late ?? how, late });
    };
    child.once('error', (e) => finish(e.message));
    // 'exit' as well as 'close': a process left behind may hold the pipes open. It is ended first, so that all
    // that was printed is read; only one that got away is not waited for.
    child.once('exit', (code, signal) => {
      const how = code === 0 ? undefined : `ended with ${signal ?? code}`;
      let grace = setTimeout(() => {
        end('SIGKILL');
        grace = setTimeout(finish, 10_000, how);
      }, 2_000);
      child.once('close', () => {
        clearTimeout(grace);
        finish(how);
      });
    });
  });
}

const tail = (text) => text.split('\n').filter((l) => l.trim()).slice(-shownLines).join('\n');

async function runCommand(job) {
  const { output, errors, how } = await run(job);
  return [{ name: job.command.join(' '), ...(how && { error: `${how}\n${tail(output + errors)}` }) }];
}

async function runMeson(job) {
  const log = path.join(root, job.log);
  await rm(log, { force: true });
  const { output, errors, how } = await run(job);
  let tests = [];
  try {
    tests = (await readFile(log, 'utf8')).split('\n').filter(Boolean).map((line) => JSON.parse(line));
  } catch {
    // no log: the reason is in `how` and the output
  }
  const cases = tests.flatMap((test) => cmockaCases({ ...test, name: test.name.replace(/^refkey:/, '') }));
  if (tests.length === 0 || (how && !cases.some((c) => c.error !== undefined))) {
    cases.push({ name: 'meson test', error: `${how ?? 'no tests in its log'}\n${tail(output + errors)}` });
  }
  return cases;
}

async function runNode(job) {
  const { output, errors, how, late } = await run(job);
  const cases = [];
  const printed = [];
  let complete = false;
  for (const line of output.split('\n')) {
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      if (line) printed.push(line);
      continue;
    }
    if (event.end) complete = true;
    else if (event.output !== undefined) printed.push(event.output.trimEnd());
    else cases.push(event);
  }
  const said = tail([...printed, errors].join('\n'));
  // A file without tests is reported as a test named after the file.
  const empty = cases.every((c) => c.error === undefined && path.resolve(root, c.name) === path.resolve(root, job.file));
  if (empty || !complete || (how && !cases.some((c) => c.error !== undefined))) {
    const why = how ?? (empty ? 'no test cases in the file' : 'ended before its end');
    return [...(empty ? [] : cases), { name: job.file, error: `${why}\n${said}` }];
  }
  // What the file printed is shown once, with the first that failed.
  const first = cases.find((c) => c.error !== undefined);
  // Node may have told of the file's end before its own.
  if (first && late) first.error = `${late}\n${first.error}`;
  if (first && said) first.error += `\nprinted by ${job.file}:\n${said}`;
  return cases;
}

const kinds = { command: runCommand, meson: runMeson, node: runNode };

export function runJob(job) {
  return kinds[job.kind](job);
}
