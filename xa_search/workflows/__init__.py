"""What a command does, one module a command: from frozen arguments to frozen results. Nothing here prints.

plan: a search space, checked against all that is registered. outlook: the hours that it takes. preflight: everything
checked and prepared before the first trial. held_out: how much selection has to go by. run: a search from its plan to
its report. trials: its trials' jobs and news. finalize: its end; end_questions: what that asks of models;
comparisons: what the winner is held against; confirmation: its settings with fresh seeds; soup: the mean of trials;
audit: what each selection rule would have picked; end_time: how long it takes. evaluate, inspection, translate,
models, replay, explain, doctor, rehearse, check_claims, serve: the command of that name. export_onnx: a model as
ONNX. feedback_check, feedback_run: the feedback commands; feedback_arms: what the arms learn from; feedback_end: what
they come to. maintenance: sync and gc. search_report: all that was found as one record; report_sentences,
next_commands: its words; report_page: its files; live_report: its page while the search runs. api: what Python
programs call. local_models: models that lie on this disk, asked without MLflow.
"""
