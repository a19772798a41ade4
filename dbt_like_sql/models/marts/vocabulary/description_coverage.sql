select
  recorded.kind,
  recorded.code_system,
  cast(sum(recorded.records) as bigint) as records,
  cast(coalesce(sum(recorded.records) filter (described.code is not null), 0) as bigint) as described,
  coalesce(sum(recorded.records) filter (described.code is not null), 0)
    / cast(sum(recorded.records) as double) as share
from {{ ref('int_recorded_codes') }} as recorded
left join {{ ref('code_description') }} as described using (kind, code_system, code)
where recorded.kind <> 'lab_result'
group by recorded.kind, recorded.code_system
order by recorded.kind, recorded.code_system
