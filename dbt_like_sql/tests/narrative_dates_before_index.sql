{{ config(meta={'dagster': {'ref': {'name': 'narratives'}}}) }}
select narrative.patient_id
from {{ ref('narratives') }} as narrative
join {{ ref('index_events') }} as index_event using (patient_id)
where {{ var('narrative_dates') == 'absolute' }}
  and list_max(regexp_extract_all(narrative.text, '(?:^| \| )\[(\d{4}-\d{2}-\d{2})\] - ', 1))
    >= strftime(index_event.index_date, '%Y-%m-%d')
