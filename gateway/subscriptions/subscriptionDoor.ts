import type { DocumentNode } from 'graphql';
import { type Authorizer, type AuthRule, collectAuthRules } from '#shared/auth.ts';
import { createDoor, type Door, type Locators } from '#shared/door.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';

export interface SubscriptionDoorDeps {
  readonly authorizer: Authorizer;
  readonly modules: readonly {
    readonly typeDefs: DocumentNode;
    readonly locators: Locators;
    readonly sql: Sql;
  }[];
}

/** Puts the `@auth` rules of the fields of `Subscription` in front of the hub, as the subgraphs do for all others. */
export function createSubscriptionDoor({ authorizer, modules }: SubscriptionDoorDeps) {
  const doors = new Map<string, { readonly rule: AuthRule; readonly door: Door }>();
  for (const { typeDefs, locators, sql } of modules) {
    const door = createDoor({ authorizer, sql, locators });
    for (const [place, rule] of collectAuthRules(typeDefs).fields) {
      const [typeName, fieldName = ''] = place.split('.');
      if (typeName === 'Subscription') doors.set(fieldName, { rule, door });
    }
  }
  return (principal: Principal, fieldName: string, args: Readonly<Record<string, unknown>>): void | Promise<void> => {
    const guarded = doors.get(fieldName);
    if (!guarded) throw new Error(`Subscription.${fieldName} has no rule`);
    return guarded.door.check(guarded.rule, args, { principal });
  };
}
