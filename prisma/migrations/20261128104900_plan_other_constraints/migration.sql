-- What a constraint of the type OTHER says stands below `other`, as the API says it; before, it was the parameters themselves.
UPDATE "plan"."plan" SET definition = jsonb_set(definition, '{constraints}', (
  SELECT jsonb_agg(
    CASE WHEN c.entry->>'type' = 'OTHER' AND jsonb_typeof(c.entry->'parameters') = 'object'
      THEN jsonb_set(c.entry, '{parameters}', jsonb_build_object('other', c.entry->'parameters'))
      ELSE c.entry END
    ORDER BY c.place)
  FROM jsonb_array_elements(definition->'constraints') WITH ORDINALITY AS c(entry, place)
))
WHERE jsonb_typeof(definition->'constraints') = 'array' AND definition->'constraints' @> '[{"type": "OTHER"}]';
