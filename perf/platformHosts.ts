import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { compiledFolder } from '#shared/compileCache.ts';
import { shortRunFlags } from './shortRuns.ts';
import { spawnWatched } from './watchedProcess.ts';

export type Script = 'gateway/main.ts' | 'subgraphs/main.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type HostRequest =
  | { readonly kind: 'start'; readonly script: Script; readonly env: Environment }
  | { readonly kind: 'stop' };

export type HostAnswer = { readonly value: string } | { readonly error: string };

/** One process of a platform, in a process that nobody else uses meanwhile. */
export interface Hosted {
  readonly child: ChildProcess;
  /** Where it listens: of subgraphs as SUBGRAPH_URLS takes it. */
  readonly ready: Promise<string>;
  /** Closes it as a signal would, and keeps the process for the next. */
  stop(): Promise<void>;
}

/**
 * Processes of platforms that are kept for the next one, where what is asked of a platform does not hang on its process
 * being new: loading and compiling the modules is most of a start. Two that run at the same time never share one.
 */
export interface PlatformHosts {
  start(script: Script, env: Environment, onOutput: (text: string) => void): Hosted;
  /** Ends those that run nothing. */
  close(): void;
}

interface Host {
  readonly child: ChildProcess;
  /** What it ran last: for that its code is compiled. */
  script: Script;
  onOutput: (text: string) => void;
  ask(request: HostRequest): Promise<string>;
}

/** At most `maxIdle` processes are kept, each some hundred MB. @default 4: those of a distributed platform */
export function createPlatformHosts(maxIdle = 4): PlatformHosts {
  const idle: Host[] = [];

  function takeHost(script: Script): Host {
    const same = idle.findLastIndex((host) => host.script === script);
    const [known] = idle.splice(same === -1 ? idle.length - 1 : same, 1);
    return known ?? createHost(script, forget);
  }

  function forget(host: Host): void {
    const at = idle.indexOf(host);
    if (at !== -1) idle.splice(at, 1);
  }

  return {
    start(script, env, onOutput) {
      const host = takeHost(script);
      Object.assign(host, { script, onOutput });
      const ready = host.ask({ kind: 'start', script, env });
      // What a process of its own would print before it ends.
      const started = ready.catch((error: unknown) => onOutput(String(error)));
      async function stop(): Promise<void> {
        await started;
        try {
          await host.ask({ kind: 'stop' });
        } catch (error) {
          host.child.kill('SIGKILL');
          throw error;
        }
        host.onOutput = () => {};
        if (idle.length < maxIdle) idle.push(host);
        else host.child.kill('SIGKILL');
      }
      let stopped: Promise<void> | undefined;
      return {
        child: host.child,
        ready,
        stop() {
          stopped ??= stop();
          return stopped;
        },
      };
    },
    close() {
      for (const { child } of idle.splice(0)) child.kill('SIGKILL');
    },
  };
}

function createHost(script: Script, onEnd: (host: Host) => void): Host {
  const entry = fileURLToPath(new URL('platformHost.ts', import.meta.url));
  const child = spawnWatched(process.execPath, [...shortRunFlags, entry], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_COMPILE_CACHE: compiledFolder },
    channel: true,
  });
  let asked: PromiseWithResolvers<string> | null = null;
  let ended: Error | null = null;
  const host: Host = {
    child,
    script,
    onOutput: () => {},
    ask(request) {
      if (ended !== null) return Promise.reject(ended);
      asked = Promise.withResolvers();
      child.channel!.ref();
      child.send(request);
      return asked.promise.finally(() => child.channel?.unref());
    },
  };
  const fail = (error: Error): void => {
    ended = error;
    asked?.reject(error);
    onEnd(host);
  };
  child.on('message', (answer: HostAnswer) => {
    if ('error' in answer) asked?.reject(new Error(answer.error));
    else asked?.resolve(answer.value);
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => host.onOutput(text));
  child.once('error', fail);
  child.once('exit', (code, signal) => {
    const error = new Error(`a process of a platform ended with ${code ?? signal}`);
    // Who asks for nothing just then sees it in the output.
    host.onOutput(`${error.message}\n`);
    fail(error);
  });
  // Whoever waits for nothing may end, and this ends with it.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as Socket).unref();
  return host;
}
