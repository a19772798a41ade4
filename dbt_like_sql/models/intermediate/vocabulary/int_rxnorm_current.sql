with recursive active as (
  select distinct rxcui from {{ source('lake', 'rxnconso') }} where rxcui is not null
),
merged as (
  select rxcui_old, rxcui_new
  from {{ source('lake', 'rxnatomarchive') }}
  where rxcui_old <> rxcui_new
  group by rxcui_old, rxcui_new
  qualify row_number() over (
    partition by rxcui_old order by count(*) desc, {{ rxcui_order('rxcui_new') }}
  ) = 1
),
-- A concept may have been merged several times; 20 steps end a circle, which no release should hold.
walk as (
  select rxcui_old as rxcui, rxcui_new as current_rxcui, 1 as steps
  from merged
  where rxcui_old not in (select rxcui from active)
  union all
  select walk.rxcui, merged.rxcui_new, walk.steps + 1
  from walk
  join merged on merged.rxcui_old = walk.current_rxcui
  where walk.steps < 20 and walk.current_rxcui not in (select rxcui from active)
)
select rxcui, rxcui as current_rxcui, 'current' as origin from active
union all
select rxcui, current_rxcui, 'archive' from walk
where current_rxcui in (select rxcui from active)
order by rxcui
