{#-
  Replaces dbt-duckdb's `external`: that one copies every model through a table in memory and writes a
  row of nulls where a model is empty. This one streams the query into Parquet, and an empty table
  stays empty. Row order is the model's `order by`, so the content fingerprint is the same every time.

  A model with `meta: {in_buckets: true}` runs once for every range of patients: texts are put together
  in memory, which DuckDB cannot spill. It filters by `in_bucket(column)` and orders by patient.
-#}
{% materialization external, adapter="duckdb", supported_languages=['sql'] %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set location = external_location(this, config) -%}
  {%- set buckets = patient_buckets() if config.get('meta', {}).get('in_buckets') else [] -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- if buckets | length > 1 -%}
    {%- set parts = [] -%}
    {%- for bucket in buckets -%}
      {%- set part = '.' ~ loop.index ~ '.part' -%}
      {%- do run_query("set variable bucket_first = " ~ sql_text(bucket[0])) -%}
      {%- do run_query("set variable bucket_last = " ~ sql_text(bucket[1])) -%}
      {%- do run_query(copy_to(compiled_code, location ~ part)) -%}
      {%- do parts.append(staged_location(this) ~ part) -%}
    {%- endfor -%}
    {%- do run_query("reset variable bucket_first") -%}
    {%- do run_query("reset variable bucket_last") -%}
    {%- set query = "select * from " ~ parquet_relation(parts) -%}
  {%- else -%}
    {%- set query = compiled_code -%}
  {%- endif -%}
  {% call statement('main', language='sql') -%}
    {{ copy_to(query, location) }}
  {%- endcall %}
  {% call statement('register', language='sql') -%}
    create or replace view {{ target_relation }} as select * from {{ parquet_relation([staged_location(this)]) }}
  {%- endcall %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{%- macro copy_to(query, location) -%}
  copy (
    {{ query }}
  ) to {{ sql_text(location) }} (format parquet, compression zstd)
{%- endmacro -%}

{#- Ranges of patient ids, in order, each with about `records_a_bucket` records. -#}
{%- macro patient_buckets() -%}
  {%- set rows = run_query(
    "with size as (select greatest(1, ceil(sum(records) / " ~ var('records_a_bucket') ~ ")) as buckets from "
    ~ ref('int_recorded_codes') ~ ") select min(patient_id), max(patient_id) from (select patient_id,"
    ~ " ntile(cast((select buckets from size) as bigint)) over (order by patient_id) as bucket from "
    ~ ref('index_events') ~ ") group by bucket order by bucket") -%}
  {{- return(rows.rows) -}}
{%- endmacro -%}

{#- The patient belongs to the range at hand; true where no range is set. -#}
{%- macro in_bucket(column) -%}
  (getvariable('bucket_first') is null
    or {{ column }} between getvariable('bucket_first') and getvariable('bucket_last'))
{%- endmacro -%}
