import { endChild, forkModule } from '../load/childProcess.ts';
import type {
  AudienceFinish,
  AudienceProgress,
  AudienceReport,
  AudienceSpec,
  CutPlan,
  FromAudience,
  ToAudience,
} from './subscriberMessages.ts';

/** The subscribers of all dialogs, in a process of their own. */
export interface Audience {
  readonly progress: AudienceProgress;
  cut(plan: CutPlan): void;
  /** Waits until everyone has everything, or nothing comes any more, and gives the verdict. */
  finish(finish: AudienceFinish): Promise<AudienceReport>;
  close(): Promise<void>;
}

/** @throws {Error} when a subscriber is not let in, or the process ends */
export async function openAudience(spec: AudienceSpec): Promise<Audience> {
  const child = forkModule(new URL('./subscribers.ts', import.meta.url));
  const subscribed = Promise.withResolvers<void>();
  const reported = Promise.withResolvers<AudienceReport>();
  let progress: AudienceProgress = { deliveries: 0, cuts: 0, resumed: 0 };
  const fail = (error: Error): void => {
    subscribed.reject(error);
    reported.reject(error);
  };
  // Whichever of the two is not awaited when the process fails.
  subscribed.promise.catch(() => {});
  reported.promise.catch(() => {});
  child.once('error', fail);
  child.once('exit', (code) => fail(new Error(`the process of the subscribers ended early (exit code ${code})`)));
  child.on('message', (message: FromAudience) => {
    switch (message.type) {
      case 'subscribed':
        subscribed.resolve();
        return;
      case 'progress':
        progress = message.progress;
        return;
      case 'report':
        reported.resolve(message.report);
        return;
      case 'failed':
        fail(new Error(`the process of the subscribers failed: ${message.message}`));
    }
  });
  const tell = (message: ToAudience): void => void child.send(message);
  try {
    tell({ type: 'start', spec });
    await subscribed.promise;
  } catch (error) {
    await endChild(child);
    throw error;
  }
  return {
    get progress() {
      return progress;
    },
    cut: (plan) => tell({ type: 'cut', plan }),
    finish(finish) {
      tell({ type: 'finish', finish });
      return reported.promise;
    },
    close: () => endChild(child),
  };
}
