import { dateTime, identifier, named } from './common.ts';
import { closed, list, optional, text, whole, word } from './shape.ts';

const runStatus = word('pending', 'running', 'succeeded', 'failed', 'cancelled');
const count = whole(0);

const toolEventShape = closed({
  tool_id: named,
  tool_kind: word('formatter', 'linter', 'test_runner', 'generator', 'other'),
  invocation_id: identifier,
  status: runStatus,
  started_at: optional(dateTime),
  completed_at: optional(dateTime),
  exit_code: optional(whole()),
  output_summary: optional(text()),
  args: optional(list(text())),
  working_directory: optional(text()),
});

const fileUpdateEventShape = closed({
  file_path: named,
  change_type: word('created', 'modified', 'deleted', 'renamed'),
  workspace_root: optional(text()),
  change_summary: optional(text()),
  timestamp: dateTime,
  lines_added: optional(count),
  lines_removed: optional(count),
  previous_path: optional(text()),
  encoding: optional(text()),
  language: optional(text()),
});

const gitEventShape = closed({
  repo_url: named,
  commit_id: named,
  ref_name: named,
  event_kind: word('commit', 'push', 'merge', 'tag', 'branch_create', 'branch_delete'),
  author_name: optional(text()),
  author_email: optional(text({ format: 'email', title: 'an e-mail address' })),
  commit_message: optional(text()),
  timestamp: dateTime,
  files_changed: optional(count),
  insertions: optional(count),
  deletions: optional(count),
  parent_commits: optional(list(text())),
});

const ciEventShape = closed({
  ci_provider: named,
  pipeline_id: named,
  run_id: named,
  status: runStatus,
  started_at: optional(dateTime),
  completed_at: optional(dateTime),
  branch_name: optional(text()),
  commit_id: optional(text()),
  run_url: optional(text({ format: 'uri', title: 'a URI' })),
  duration_ms: optional(count),
  stages: optional(
    list(
      closed({
        stage_name: text(),
        status: word('pending', 'running', 'succeeded', 'failed', 'cancelled', 'skipped'),
        duration_ms: optional(count),
      }),
    ),
  ),
  trigger_kind: optional(word('push', 'pull_request', 'schedule', 'manual', 'tag', 'other')),
});

/** What tools around the platform report; validated, never stored. */
export const integrationShapes = {
  tool: toolEventShape,
  file_update: fileUpdateEventShape,
  git: gitEventShape,
  ci: ciEventShape,
} as const;

export type IntegrationKind = keyof typeof integrationShapes;
