{#- Where models are written, and where tables that this run does not build are read from. -#}

{%- macro external_location(relation, config) -%}
  {#- Written to a private folder first; learn_assets/warehouse.py moves finished files into the lake. -#}
  {{- var('staging_folder') }}/{{ relation.identifier }}.parquet
{%- endmacro -%}

{%- macro lake_location(table, windowed) -%}
  {{- var('lake_tables') }}/{% if windowed %}{{ var('window_key') }}/{% endif %}{{ table }}.parquet
{%- endmacro -%}

{%- macro staged_location(relation) -%}
  {#- The same file as `external_location`, for reading. -#}
  {{- var('staged_tables') }}/{{ relation.identifier }}.parquet
{%- endmacro -%}

{%- macro parquet_relation(patterns) -%}
  {#- Without columns from folders' names, such as `site=2`, in the path of a lake. -#}
  {%- set listed = [] -%}
  {%- for pattern in patterns -%}
    {%- do listed.append(sql_text(pattern)) -%}
  {%- endfor -%}
  read_parquet([{{ listed | join(', ') }}], hive_partitioning = false)
{%- endmacro -%}

{%- macro is_windowed(node) -%}
  {{- return(node.config.get('meta', {}).get('windowed', false)) -}}
{%- endmacro -%}

{%- macro prepare_session() -%}
  {%- if execute and var('memory_limit') -%}
    {%- do run_query("set memory_limit = " ~ sql_text(var('memory_limit'))) -%}
    {%- do run_query("set temp_directory = " ~ sql_text(var('spill_folder'))) -%}
  {%- endif -%}
{%- endmacro -%}

{%- macro register_upstream_tables() -%}
  {#- Views on the lake for sources and models that selected nodes read and this run does not build. -#}
  {%- if execute -%}
    {%- set done = [] -%}
    {%- set queue = [] -%}
    {%- for unique_id in selected_resources -%}
      {%- if unique_id in graph.nodes -%}
        {%- do queue.extend(graph.nodes[unique_id].depends_on.nodes) -%}
      {%- endif -%}
    {%- endfor -%}
    {#- Ephemeral models are inlined, so what they read is needed as well; `queue` grows meanwhile. -#}
    {%- for unique_id in queue -%}
      {%- if unique_id not in done and unique_id not in selected_resources -%}
        {%- do done.append(unique_id) -%}
        {%- set node = graph.nodes.get(unique_id) or graph.sources.get(unique_id) -%}
        {%- if node.resource_type == 'model' and node.config.materialized == 'ephemeral' -%}
          {%- do queue.extend(node.depends_on.nodes) -%}
        {%- elif node.resource_type in ('model', 'source') -%}
          {%- do register_table(node) -%}
        {%- endif -%}
      {%- endif -%}
    {%- endfor -%}
    {%- do adapter.commit() -%}
  {%- endif -%}
{%- endmacro -%}

{%- macro register_table(node) -%}
  {%- set table = node.get('identifier') or node.alias -%}
  {%- set relation = api.Relation.create(
        database=node.database, schema=node.schema, identifier=table, type='view') -%}
  {%- do run_query("create schema if not exists " ~ relation.without_identifier()) -%}
  {%- if table in var('absent_tables') -%}
    {%- set columns = [] -%}
    {%- for column in node.columns.values() -%}
      {%- do columns.append("cast(null as " ~ column.data_type ~ ") as " ~ adapter.quote(column.name)) -%}
    {%- endfor -%}
    {%- do run_query("create or replace view " ~ relation ~ " as select " ~ columns | join(", ")
          ~ " where false") -%}
  {%- else -%}
    {%- do run_query("create or replace view " ~ relation ~ " as select * from "
          ~ parquet_relation([lake_location(table, is_windowed(node))])) -%}
  {%- endif -%}
{%- endmacro -%}

{%- macro sql_text(value) -%}
  '{{- (value | string).replace("'", "''") -}}'
{%- endmacro -%}
