import { openLoad } from '../budgets.ts';
import { measurementOf } from '../measurement.ts';
import { agentTokens, boundBy } from '../moduleMix.ts';
import type { Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import type { RoleSeed } from '../seeds/role.ts';
import type { RunningServer } from '../serverProcess.ts';
import { type AuthenticationParams, subjectName } from '../workloads/authentication.ts';
import type { RoleParams } from '../workloads/role.ts';
import { roleSeed } from './role.ts';

const callers = 50;
/** New tokens for a second of the window and of what goes before it, over the tenth that is asked for. */
const freshShare = 0.12;
const mintedAtATime = 200;

async function subjectTokens(server: RunningServer, subjects: readonly number[]): Promise<string[]> {
  const tokens: string[] = [];
  for (let at = 0; at < subjects.length; at += mintedAtATime) {
    const some = subjects.slice(at, at + mintedAtATime);
    const mint = (subject: number) =>
      server.token({ tenant: perfTenant, subject: subjectName(subject), roles: ['agent'] });
    tokens.push(...(await Promise.all(some.map(mint))));
  }
  return tokens;
}

export const scenarios: readonly Scenario[] = [
  {
    rows: ['l1.security.authentication'],
    title: 'who a caller is',
    async run(environment) {
      const row = 'l1.security.authentication';
      const design = environment.design(row);
      const subjects = environment.smoke ? 50 : design.dataSet['subjects']!;
      const fresh = environment.smoke
        ? 50
        : Math.ceil(design.ratePerSecond! * freshShare * (design.durationSeconds + 2));
      const server = await environment.startServer({ database: await environment.prepareDatabase() });
      const numbers = Array.from({ length: subjects }, (_, subject) => subject);
      const freshSubjects = Array.from({ length: fresh }, (_, at) => (at * 7) % subjects);
      environment.log(`${subjects + fresh} tokens are signed`);
      const freshTokens = await subjectTokens(server, freshSubjects);
      const params: AuthenticationParams = {
        tokens: await subjectTokens(server, numbers),
        fresh: freshTokens.map((token, at) => ({ token, subject: freshSubjects[at]! })),
      };
      const result = await environment.load({
        workload: new URL('../workloads/authentication.ts', import.meta.url),
        params,
        server,
        ...openLoad(design),
      });
      const { asked = 0, verified = 0, forged = 0, repeated = 0 } = result.facts;
      const share = (part: number) => `${((100 * part) / Math.max(1, asked)).toFixed(1)} %`;
      return [
        measurementOf(result, {
          row,
          operation: 'authenticate',
          boundBy: boundBy(result),
          notes: [
            `the query me; ${share(verified)} of the tokens were new to the process and verified in full, ${share(forged)} forged and refused`,
            ...(repeated > 0 ? [`${repeated} tokens that should have been new came a second time`] : []),
          ],
        }),
      ];
    },
  },
  {
    rows: ['l1.security.authorization'],
    title: 'what a caller may',
    async run(environment) {
      const row = 'l1.security.authorization';
      const design = environment.design(row);
      const { subjects = 0, role_assignments: assignments = 0 } = design.dataSet;
      const seed: RoleSeed = environment.smoke
        ? { roles: 60, subjects: 20, assignments: 100 }
        : { roles: environment.design('l2.role_module.check_permission').dataSet['roles']!, subjects, assignments };
      const database = await environment.prepareDatabase(roleSeed(seed));
      const server = await environment.startServer({ database });
      const params: RoleParams = {
        seed,
        tokens: await agentTokens(server, callers),
        admin: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
        mix: { check_permission: 1 },
      };
      const result = await environment.load({
        workload: new URL('../workloads/role.ts', import.meta.url),
        params,
        server,
        database,
        ...openLoad(design),
      });
      const { checks = 0, granted = 0 } = result.facts;
      return [
        measurementOf(result, {
          row,
          operation: 'check_permission',
          boundBy: boundBy(result),
          notes: [
            'the query checkPermission alone; every other request of the platform decides with its token’s scopes, in the process',
            `${((100 * granted) / Math.max(1, checks)).toFixed(0)} % of the decisions granted`,
          ],
        }),
      ];
    },
  },
];
