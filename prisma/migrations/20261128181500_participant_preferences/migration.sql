-- Notifications and availability have a form now: what said the same under the names of the protocol's samples is kept.
UPDATE "context"."participant" p SET "notifications" = (
  SELECT coalesce(jsonb_object_agg(k.name, n.value), '{}')
  FROM jsonb_each(p."notifications") n
  JOIN (VALUES ('email', 'email'), ('push', 'push'), ('in_app', 'inApp'), ('inApp', 'inApp')) AS k(said, name) ON k.said = n.key
  WHERE jsonb_typeof(n.value) = 'boolean')
WHERE jsonb_typeof(p."notifications") = 'object' AND p."notifications" <> '{}';
UPDATE "context"."participant" SET "notifications" = '{}' WHERE jsonb_typeof("notifications") <> 'object';

UPDATE "dialog"."participant" p SET "notifications" = (
  SELECT coalesce(jsonb_object_agg(k.name, n.value), '{}')
  FROM jsonb_each(p."notifications") n
  JOIN (VALUES ('email', 'email'), ('email_notifications', 'email'), ('push', 'push'), ('push_notifications', 'push'),
    ('mention_alerts', 'mentionAlerts'), ('mentionAlerts', 'mentionAlerts'), ('decision_alerts', 'decisionAlerts'), ('decisionAlerts', 'decisionAlerts'),
    ('approval_alerts', 'approvalAlerts'), ('approvalAlerts', 'approvalAlerts'), ('escalation_alerts', 'escalationAlerts'), ('escalationAlerts', 'escalationAlerts')
  ) AS k(said, name) ON k.said = n.key
  WHERE jsonb_typeof(n.value) = 'boolean')
WHERE jsonb_typeof(p."notifications") = 'object' AND p."notifications" <> '{}';
UPDATE "dialog"."participant" SET "notifications" = '{}' WHERE jsonb_typeof("notifications") <> 'object';

UPDATE "dialog"."participant" p SET
  "timezone" = coalesce(p."timezone", CASE WHEN length(p."availability"->>'timezone') BETWEEN 1 AND 64 THEN p."availability"->>'timezone' END),
  "availability" = (
    SELECT jsonb_build_object('workingHours', jsonb_build_object('start', h.hours->>'start', 'end', h.hours->>'end'))
    FROM (SELECT coalesce(p."availability"->'workingHours', p."availability"->'working_hours') AS hours) h
    WHERE h.hours->>'start' ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' AND h.hours->>'end' ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$')
WHERE p."availability" IS NOT NULL;
