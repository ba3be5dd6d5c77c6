/** A process that takes the job `held` and never ends it. `node test/shared/heldJob.ts <database url>` */
import { createJobRunner } from '#shared/jobs.ts';

const quiet = { warn() {}, error() {}, debug() {}, info() {} };
await createJobRunner({
  url: process.argv[2]!,
  logger: quiet as never,
  lookEveryMs: 2_000,
  tasks: {
    held: async () => {
      process.stdout.write('taken\n');
      await new Promise(() => {});
    },
  },
});
