import { z } from 'zod';
import { type Connection, createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text, textProblem } from '#shared/validation.ts';
import type { SubjectRow } from './rows.ts';
import { subjectColumns } from './store.ts';
import { unknownSubject } from './subjects.ts';

const list = 'subjects';
const part = text({ min: 1, max: 255 }).nullish();
const subjectFilter = z.object({
  type: z.array(z.string().toLowerCase()).max(10).nullish(),
  text: part,
  capability: part,
  roleId: id.nullish(),
});

/**
 * Recorded subjects and those of whom only assignments tell, by id. Each of both is read from the cursor on and no further
 * than a page goes: neither is ever sorted as a whole.
 * @throws {CURSOR_INVALID} {VALIDATION_FAILED}
 */
export async function listSubjects(
  sql: Sql,
  tenantId: string,
  given: unknown,
  input: PageInput,
): Promise<Connection<SubjectRow>> {
  const filter = parseInput(subjectFilter, given ?? {}, ['filter']);
  const page = readPage(list, 1, input);
  const behind = page.from === null ? null : String(page.from[0]);
  if (behind !== null && textProblem(behind) !== null)
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  const parameters: unknown[] = [tenantId, page.limit + 1];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const recorded = ['s.tenant_id = $1'];
  const assigned = ['a.tenant_id = $1'];
  if (behind !== null) {
    const place = bind(behind);
    recorded.push(`s.id > ${place}::text`);
    assigned.push(`a.subject_id > ${place}::text`);
  }
  if (filter.text != null) {
    const words = bind(filter.text);
    recorded.push(`strpos(lower(concat_ws(' ', s.id, s.display_name)), lower(${words}::text)) > 0`);
    assigned.push(`strpos(lower(a.subject_id), lower(${words}::text)) > 0`);
  }
  if (filter.roleId != null) {
    const role = bind(filter.roleId);
    const holds = (row: string) => `${row}.role_id = ${role}::uuid AND ${row}.status = 'active'`;
    recorded.push(
      `EXISTS (SELECT FROM role.assignment h WHERE h.tenant_id = s.tenant_id AND h.subject_id = s.id AND ${holds('h')})`,
    );
    assigned.push(holds('a'));
  }
  if (filter.type != null) recorded.push(`s.type = ANY(${bind(filter.type)}::text[])`);
  if (filter.capability != null)
    recorded.push(`s.capabilities @> ${bind(JSON.stringify([{ name: filter.capability }]))}::text::jsonb`);
  // Of who has no record neither a type nor a capability is known.
  const isOfRecords = filter.type != null || filter.capability != null;
  const ids = [
    `(SELECT s.id FROM role.subject s WHERE ${recorded.join(' AND ')} ORDER BY s.id LIMIT $2)`,
    ...(isOfRecords
      ? []
      : [
          `(SELECT DISTINCT a.subject_id FROM role.assignment a WHERE ${assigned.join(' AND ')} ORDER BY a.subject_id LIMIT $2)`,
        ]),
  ];
  const found = (await sql.unsafe(
    `SELECT k.id AS key, ${subjectColumns} FROM (SELECT u.id FROM (${ids.join(' UNION ')}) AS u(id) ORDER BY u.id LIMIT $2) AS k
     LEFT JOIN role.subject s ON s.tenant_id = $1 AND s.id = k.id ORDER BY k.id`,
    parameters as never[],
    { prepare: true },
  )) as unknown as ({ readonly key: string } & SubjectRow)[];
  const rows = found.map(({ key, ...row }) =>
    (row.id as string | null) === null ? unknownSubject(tenantId, key) : row,
  );
  return createConnection(list, page, rows, ({ id: subjectId }) => [subjectId]);
}
