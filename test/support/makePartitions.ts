import { readConfig } from '#shared/config.ts';
import { maintainPartitions } from '#shared/partitions.ts';
import { createSql } from '#shared/sql.ts';
import { subgraphNames } from '../../subgraphs/names.ts';
import { partitionsOf } from '../../subgraphs/open.ts';
import { loadSubgraphs } from '../../subgraphs/registry.ts';

/** Makes the partitions that a platform makes at its first start on the database of DATABASE_URL. */
const config = readConfig({ DATABASE_URL: process.env['DATABASE_URL'] });
const sql = createSql(config.DATABASE_URL!, { max: 1, applicationName: 'mplp-tests' });
await maintainPartitions(sql, partitionsOf(config, [...(await loadSubgraphs(subgraphNames)).values()]));
await sql.end();
