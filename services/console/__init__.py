"""The recorder, which writes the trace to SQL, and the administrator's commands; of itself it decides nothing."""
