import type { DocumentNode } from 'graphql';
import { type Authorizer, type AuthRule, collectAuthRules } from '#shared/auth.ts';
import { createDoor, type Door, type Locators } from '#shared/door.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { type ModuleGate, moduleDisabled } from '../moduleGate.ts';

export interface SubscriptionDoorDeps {
  readonly authorizer: Authorizer;
  /** Modules closed to a tenant. */
  readonly closedTo: ModuleGate['closedTo'];
  readonly modules: readonly {
    readonly name: string;
    readonly typeDefs: DocumentNode;
    readonly locators: Locators;
    readonly sql: Sql;
  }[];
}

/** Puts the `@auth` rules of the fields of `Subscription` in front of the hub, as the subgraphs do for all others. */
export function createSubscriptionDoor({ authorizer, closedTo, modules }: SubscriptionDoorDeps) {
  const doors = new Map<string, { readonly module: string; readonly rule: AuthRule; readonly door: Door }>();
  for (const { name, typeDefs, locators, sql } of modules) {
    const door = createDoor({ authorizer, sql, locators });
    for (const [place, rule] of collectAuthRules(typeDefs).fields) {
      const [typeName, fieldName = ''] = place.split('.');
      if (typeName === 'Subscription') doors.set(fieldName, { module: name, rule, door });
    }
  }
  return (principal: Principal, fieldName: string, args: Readonly<Record<string, unknown>>): void | Promise<void> => {
    const guarded = doors.get(fieldName);
    if (!guarded) throw new Error(`Subscription.${fieldName} has no rule`);
    const { module, rule, door } = guarded;
    const enter = (closed: ReadonlySet<string>) => {
      if (closed.has(module)) throw moduleDisabled(module);
      return door.check(rule, args, { principal });
    };
    const closed = closedTo(principal.tenantId);
    return closed instanceof Promise ? closed.then(enter) : enter(closed);
  };
}
