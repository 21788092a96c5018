{{/* `helm test`: (dict "root" $ "command" $argv). */}}
{{- define "service-lib.test" -}}
{{- $component := dict "root" .root "component" "test" }}
{{- if .root.Values.test.enabled }}
---
apiVersion: v1
kind: Pod
metadata:
  {{- include "service-lib.metadata" (merge (dict "name" (printf "%s-test" .root.Chart.Name)) $component) | nindent 2 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  {{- include "service-lib.podSettings" $component | nindent 2 }}
  containers:
    - name: test
      {{- include "service-lib.containerSettings" .root | nindent 6 }}
      command:
        {{- toYaml .command | nindent 8 }}
      resources:
        requests: {cpu: 10m, memory: 32Mi}
        limits: {memory: 64Mi}
{{- end }}
{{- end }}
