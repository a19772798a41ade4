{#-
  Replaces dbt-duckdb's `external`: that one copies every model through a table in memory and writes a
  row of nulls where a model is empty. This one streams the query into Parquet, and an empty table
  stays empty. Row order is the model's `order by`, so the content fingerprint is the same every time.
-#}
{% materialization external, adapter="duckdb", supported_languages=['sql'] %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set location = external_location(this, config) -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {% call statement('main', language='sql') -%}
    copy (
      {{ compiled_code }}
    ) to {{ sql_text(location) }} (format parquet, compression zstd)
  {%- endcall %}
  {% call statement('register', language='sql') -%}
    create or replace view {{ target_relation }} as select * from read_parquet({{ sql_text(location) }})
  {%- endcall %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
