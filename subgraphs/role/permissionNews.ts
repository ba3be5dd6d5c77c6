import type { NewEvent } from '#shared/outbox.ts';
import { ownCapabilities } from './document.ts';
import { roleEvent } from './events.ts';
import type { RoleRow } from './rows.ts';

/** What a role gives or takes by a change: its permissions, and the frozen tags that follow from them. */
export function permissionNews(before: RoleRow, after: RoleRow): NewEvent[] {
  const [own, next] = [before, after].map((row) =>
    row.deletedAt === null ? row : { ...row, permissions: [], capabilities: [] },
  ) as [RoleRow, RoleRow];
  const keysOf = (row: RoleRow) => new Set(row.permissions.map((permission) => JSON.stringify(permission)));
  const notIn = (row: RoleRow, keys: ReadonlySet<string>) =>
    row.permissions.filter((permission) => !keys.has(JSON.stringify(permission)));
  const [tags, nextTags] = [new Set(ownCapabilities(own)), new Set(ownCapabilities(next))];
  const events = (type: string, name: string, list: readonly unknown[]): NewEvent[] =>
    list.length === 0 ? [] : [withMore(roleEvent(type, after), { [name]: list })];
  return [
    ...events('permission.granted', 'permissions', notIn(next, keysOf(own))),
    ...events('permission.revoked', 'permissions', notIn(own, keysOf(next))),
    ...events(
      'capability.granted',
      'capabilities',
      [...nextTags].filter((tag) => !tags.has(tag)),
    ),
    ...events(
      'capability.revoked',
      'capabilities',
      [...tags].filter((tag) => !nextTags.has(tag)),
    ),
  ];
}

function withMore(event: NewEvent, more: Readonly<Record<string, unknown>>): NewEvent {
  return { ...event, data: { ...event.data, ...more } };
}
