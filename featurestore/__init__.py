"""An embedding feature store for materials: LanceDB tables, DuckDB SQL, content identity."""
